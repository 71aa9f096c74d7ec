"""A local server of all that `smoke-test` asks for; `broken` and `missing` name what is wrong with it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ["Hello", " there,", " friend."]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


class OpenAIServer:
    """`missing` are features that answer as if unknown; `broken` are faults by the name of the check that sees them."""

    def __init__(self, *, broken=(), missing=(), key=None, models=("tiny",)):
        self.broken, self.missing, self.key, self.models = set(broken), set(missing), key, list(models)
        self.seen, self.chats = [], 0

    def __enter__(self, port=0):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms between its head and its body

            def do_GET(self):
                outer.get(self)

            def do_POST(self):
                outer.post(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def get(self, handler):
        if "page" in self.broken:
            return self.send(handler, 200, b"<html>a page</html>", "text/html")
        if not self.allowed(handler):
            return self.error(handler, 401, "no such key")
        if handler.path != "/v1/models" or "models" in self.missing:
            return self.error(handler, 404, "no such path")
        data = [{"id": name, "object": "model"} for name in self.models]
        return self.json(handler, {"object": "list", "data": data})

    def post(self, handler):
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.seen.append(request)
        if not self.allowed(handler) and "wrong_key" not in self.broken:
            return self.error(handler, 401, "no such key")
        if request["model"] not in self.models and "wrong_model" not in self.broken:
            return self.error(handler, 404, "no such model")
        if handler.path == "/v1/completions":
            return self.completion(handler, request)
        return self.chat(handler, request)

    def completion(self, handler, request):
        if "completions" in self.missing:
            return self.error(handler, 404, "no such path")
        usage = {**USAGE, "total_tokens": 9} if "completions" in self.broken else USAGE
        choice = {"index": 0, "text": " there", "finish_reason": "length"}
        return self.json(handler, {"choices": [choice], "usage": usage})

    def chat(self, handler, request):
        for field, feature in (("logprobs", "logprobs"), ("tools", "tools"), ("response_format", "json_schema")):
            if field in request and feature in self.missing:
                return self.error(handler, 400, f"unknown field {field}")
        self.chats += 1
        words = [] if "chat" in self.broken else list(WORDS)
        if "random" in self.broken:
            words[-1] = f" {self.chats}."
        message, finish = {"role": "assistant", "content": "".join(words)}, "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        if request.get("tools") and "text" not in self.broken:
            call = {**CALL, "function": {**CALL["function"], "arguments": "{"}} if "tools" in self.broken else CALL
            message |= {"content": None, "tool_calls": [call]}
            choice["finish_reason"] = "tool_calls"
        if request.get("response_format") and "json_schema" not in self.broken:
            message["content"] = '{"answer": "yes"}'
        if request.get("logprobs"):
            value = 0.5 if "logprobs" in self.broken else -0.5
            top = [{"token": word, "logprob": value} for word in ("a", "b")]
            content = [{"token": word, "logprob": value, "top_logprobs": top} for word in words]
            choice["logprobs"] = {"content": content}
        if request.get("stream"):
            return self.stream(handler, words)
        usage = {**USAGE, "total_tokens": 7} if "usage" in self.broken else USAGE
        choice["finish_reason"] = "done" if "finish" in self.broken else choice["finish_reason"]
        return self.json(handler, {"object": "chat.completion", "choices": [choice], "usage": usage})

    def stream(self, handler, words):
        if "plain" in self.broken:
            message = {"role": "assistant", "content": "".join(words)}
            return self.json(handler, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b": a comment\n\n")
        words = words[:-1] if "stream" in self.broken else words
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
        ends = [None] * len(deltas) + ([] if "cut" in self.broken else ["stop"])
        for delta, end in zip([*deltas, {}], ends, strict=False):
            choice = {"index": 0, "delta": delta, "finish_reason": end}
            chunk = {"object": "chat.completion.chunk", "choices": [choice]}
            handler.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if "error" in self.broken:
            handler.wfile.write(b'data: {"error": {"message": "the engine died"}}\n\n')
        if not {"cut", "error"} & self.broken:
            handler.wfile.write(b"data: [DONE]\n\n")
        handler.close_connection = True
        return None

    def allowed(self, handler):
        return self.key is None or handler.headers["Authorization"] == f"Bearer {self.key}"

    def error(self, handler, status, text):
        self.json(handler, {"error": {"message": text, "type": "invalid_request_error"}}, status)

    def json(self, handler, value, status=200):
        self.send(handler, status, json.dumps(value).encode(), "application/json")

    def send(self, handler, status, content, kind):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
