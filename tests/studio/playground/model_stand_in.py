"""Speaks as `burnish.stages.ship.playground`, without a model: the name of the model's folder says what it does.

broken: it cannot be loaded; silent: the process ends; late: it is loaded when the file `go` appears beside it; slow:
its answers do not end; plain: it has no chat template. Adapters named unfit cannot be loaded beside a model, and
those named stuck are not loaded to the end. What it does is in the file `log` beside.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from burnish.core.errors import ModelError
from burnish.core.processes import end_with_parent


def say(message):
    print(json.dumps(message), flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.folder.name == "plain" and self.path.endswith("/chat/completions"):
            error = json.dumps({"error": {"message": "no chat template", "code": "no_chat_template"}}).encode()
            self.send_response(400)
            self.send_header("content-length", str(len(error)))
            self.end_headers()
            self.wfile.write(error)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        words = [asked["model"], " says", " hi"]
        try:
            while True:
                for word in words:
                    self.chunk({"choices": [{"delta": {"content": word}, "finish_reason": None}]})
                if self.server.folder.name != "slow":
                    break
                time.sleep(0.02)
            self.chunk({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            self.chunk({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 3}})
        except OSError:
            self.server.log("left")

    def chunk(self, value):
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_):
        pass


def main():
    end_with_parent(int(sys.argv[1]))
    request = json.loads(sys.stdin.readline())
    folder = Path(request["model"]["path"])

    def log(text):
        with folder.with_name("log").open("a") as file:
            file.write(f"{text}\n")

    log(f"start {folder.name}")
    say({"note": f"loading {folder.name}"})
    if folder.name == "broken":
        say({"error": ModelError("model.broken", "it is truncated", "copy it again").as_dict()})
        return
    if folder.name == "silent":
        print("a library gave up", file=sys.stderr)
        os._exit(3)
    while folder.name == "late" and not folder.with_name("go").exists():
        time.sleep(0.01)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder, server.log = folder, log
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    say({"ready": {"address": address, "key": "k", "model": folder.name, "engine": "stand-in", "context": 8}})
    log(f"ready {folder.name}")
    for line in sys.stdin:
        order = json.loads(line)
        log(f"{order['op']} {order['name'][:3]}")
        if order["op"] == "load" and order["adapter"]["path"].endswith("unfit"):
            error = ModelError("model.unsupported", "this engine does not load it", "merge it")
            say({"id": order["id"], "error": error.as_dict()})
        elif not order.get("adapter", {}).get("path", "").endswith("stuck"):
            say({"id": order["id"], "done": True})


if __name__ == "__main__":
    main()
