"""An engine's process that misbehaves as its settings say: `python -m stand_in PARENT_PID SETTINGS`."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from burnish.core.errors import ModelError
from burnish.serve.engines.child import News, run_child


class StandIn:
    """Answers the numbers after the last of the prompt. `starts` is a file that counts its starts."""

    def __init__(self, settings):
        self.settings, self.answers = settings, {}
        starts = Path(settings["starts"])
        starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
        self.start = len(starts.read_text())
        time.sleep(settings.get("slow", 0))
        if settings.get("refuses"):
            raise ModelError("model.broken", "the file is no model", "use another")
        if self.start > 1 and settings.get("never_again"):
            sys.exit(3)
        if settings.get("stubborn"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def describe(self):
        return {"context": 100, "features": ["adapters"], "slots": 4, "ends": [0]}

    def add(self, number, request):
        self.answers[number] = [request["prompt"][-1] + 1, request["max_tokens"]]

    def cancel(self, number):
        self.answers.pop(number, None)

    def has_work(self):
        return bool(self.answers)

    def step(self, news: News):
        time.sleep(self.settings.get("step", 0.005))
        for number, (token, left) in list(self.answers.items()):
            if left == 0:
                news.ends.append([number, "length", None, None])
                del self.answers[number]
                continue
            if token == 66:
                os.kill(os.getpid(), signal.SIGKILL)
            if token == 77:
                os.kill(os.getpid(), signal.SIGSTOP)
            if token == 88:
                raise ValueError("a fault in a step")
            news.tokens.append([number, token, None, []])
            self.answers[number] = [token + 1, left - 1]

    def command(self, name, request):
        return [name, request.get("name")]


if __name__ == "__main__":
    settings = json.loads(sys.argv[2])
    if settings.get("garbage"):
        os.write(1, b"Loading weights: 100%\n" * 20)
        time.sleep(60)
    if settings.get("dies"):
        print("no such device", file=sys.stderr)
        sys.exit(9)
    run_child(lambda: StandIn(settings), int(sys.argv[1]))
