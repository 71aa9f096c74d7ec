"""A server that answers as vLLM's documented API does, for token ids: `python vllm_stand_in.py serve MODEL …`."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

given = sys.argv[1:]
NAME = given[given.index("--served-model-name") + 1]
PORT = int(given[given.index("--port") + 1])
loaded = {NAME}


class Handler(BaseHTTPRequestHandler):
    def allowed(self):
        """As vLLM: the key is for /v1, the switch for adapters."""
        if not self.path.startswith("/v1/") or self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}":
            return True
        self.reply(401, b'{"error": "Unauthorized"}')
        return False

    def do_GET(self):
        if not self.allowed():
            return
        body = {"data": [{"id": NAME, "max_model_len": 64}]} if self.path == "/v1/models" else {}
        self.reply(200, json.dumps(body).encode())

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        with Path(given[1], "requests.jsonl").open("a") as file:
            file.write(json.dumps(request) + "\n")
        if self.path.endswith("load_lora_adapter") and os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] != "True":
            self.reply(404, b'{"detail": "Not Found"}')
        elif self.path.endswith("load_lora_adapter"):
            (loaded.discard if "unload" in self.path else loaded.add)(request["lora_name"])
            self.reply(200, b"Success")
        elif request["model"] not in loaded:
            error = {"error": {"message": f"The model `{request['model']}` does not exist.", "code": 404}}
            self.reply(404, json.dumps(error).encode())
        else:
            self.stream(request)

    def stream(self, request):
        self.send_response(200)
        self.end_headers()
        token, stops = request["prompt"][-1], request["stop_token_ids"]
        for number in range(1, request["max_tokens"] + 1):
            token += 1
            is_last = number == request["max_tokens"]
            choice = {"index": 0, "text": "x", "token_ids": [token], "finish_reason": None, "stop_reason": None}
            if request.get("logprobs") is not None:
                ranked = {f"token_id:{token}": -0.5, f"token_id:{token + 100}": -1.5}
                choice["logprobs"] = {
                    "tokens": [f"token_id:{token}"],
                    "token_logprobs": [-0.5],
                    "top_logprobs": [ranked],
                }
            if token in stops:
                choice |= {"finish_reason": "stop", "stop_reason": token}
            elif is_last:
                choice["finish_reason"] = "length"
            self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
            if token in stops:
                break
            if token == 66:
                self.connection.close()
                return
        self.wfile.write(b"data: [DONE]\n\n")

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
