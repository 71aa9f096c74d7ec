"""Make the pictures of docs/guides/studio.md: real runs in a workspace of their own, and a real Chromium.

python docs/pictures.py            in some minutes on two cores; needs Pillow, Chromium, and `make web` before
python docs/pictures.py FOLDER     keeps the workspace there, and takes the pictures again in a minute
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "guides" / "pictures"
COLORS, MOST_BYTES = 128, 150_000
_TRAINING = {
    "stage": "sft",
    "base": "builtin:pocket",
    "batch_tokens": 768,
    "learning_rate": 4.0e-3,
    "schedule": {"kind": "linear", "warmup": 10, "final": 0.05},
}
_SCORERS = [{"kind": "tool_call"}, {"kind": "exact_match"}]


def recipe(url: str, rank: int = 16, learning_rate: float = 4.0e-3) -> dict:
    """Two adapters, scored, judged, compared, combined and exported; judges answer at `url`."""
    judge = {"url": url, "max_tokens": 200, "price": {"input": 0.25, "output": 2.0}}
    tuning = {**_TRAINING, "learning_rate": learning_rate, "method": {"kind": "lora", "rank": rank, "alpha": 2 * rank}}
    made = {"kind": "pocket"}
    evaluated = {"stage": "evaluate", "scorers": _SCORERS, "generation": {"max_new_tokens": 64}}
    steps = {
        "requests": {"stage": "synthesize", "generator": {**made, "skill": "move_order", "rows": 900, "seed": 11}},
        "skills": {"stage": "synthesize", "generator": {**made, "skill": "base", "rows": 900, "seed": 12}},
        "data": {"stage": "prepare", "source": "step:requests", "deduplicate": True, "split": {"test": 0.2}},
        "mixed": {
            "stage": "prepare",
            "source": [{"ref": "step:requests"}, {"ref": "step:skills", "take": 450, "tag": "skills"}],
            "deduplicate": True,
            "split": {"test": 0.2},
        },
        "tune": {**tuning, "data": "step:data", "max_steps": 180},
        "replay": {**tuning, "data": "step:mixed", "max_steps": 180},
        "score": {**evaluated, "model": "step:replay", "data": "step:mixed", "compare_with": "base", "max_rows": 120},
        "quality": {
            "stage": "judge",
            "answers": "step:score",
            "criteria": [
                {"name": "useful", "description": "Whether the answer can be used as it is.", "scale": "1-5"},
                {"name": "brief", "description": "Whether it is brief.", "scale": ["no", "partly", "yes"]},
            ],
            "judge": {**judge, "model": "strict"},
            "panel": [{**judge, "model": "lenient"}],
            "max_rows": 60,
        },
        "verdict": {
            "stage": "compare",
            "candidates": {"base": "builtin:pocket", "tune": "step:tune", "replay": "step:replay"},
            "data": "step:mixed",
            "scorers": _SCORERS,
            "generation": {"max_new_tokens": 64},
            "max_rows": 120,
            "gate": [
                {"score": "bits_per_byte", "candidate": "replay", "better_than": "base"},
                {"score": "bits_per_byte", "candidate": "replay", "at_most": 1.5},
            ],
        },
        "blend": {
            "stage": "combine",
            "adapters": [{"adapter": "step:tune", "weight": 0.3}, {"adapter": "step:replay", "weight": 0.7}],
        },
        "ship": {"stage": "merge", "model": "step:replay"},
        "small": {"stage": "gguf", "model": "step:replay", "type": "F16"},
    }
    return {"name": "support-bot", "steps": steps}


class Judges:
    """An endpoint with two judges, who mostly agree: what they say follows from the answer alone."""

    def __enter__(self) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                size = len(asked["messages"][-1]["content"])
                lenient = asked["model"] == "lenient"
                useful = min(5, 2 + size % 4 + (lenient and size % 3 == 0))
                verdict = {
                    "reason": "It names the order and the day, and adds nothing."
                    if useful > 3
                    else "A part is missing.",
                    "useful": useful,
                    "brief": ["yes", "yes", "partly", "yes", "no"][(size + (lenient and size % 7 == 0)) % 5],
                }
                usage = {"prompt_tokens": size // 4, "completion_tokens": 24, "total_tokens": size // 4 + 24}
                message = {"role": "assistant", "content": json.dumps(verdict)}
                answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def burnish(workspace: Path, *words: str) -> None:
    """Run a command in the workspace."""
    command = [sys.executable, "-m", "burnish.cli.main", "--workspace", str(workspace), *words]
    subprocess.run(command, check=True, cwd=workspace)


def make_workspace(folder: Path) -> None:
    """Two runs of the recipe that differ in two settings, and two names in the registry; nothing twice."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"question": f"What is {number} and {number + 1}?", "answer": str(2 * number + 1)} for number in range(60)]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    with Judges() as url:
        for number, settings in enumerate([{"rank": 8, "learning_rate": 2.5e-3}, {}], 1):
            path = folder / "recipes" / "support-bot.yaml"
            path.parent.mkdir(exist_ok=True)
            if not (folder / "runs" / "support-bot" / str(number) / "small" / "artifact.json").exists():
                path.write_text(json.dumps(recipe(url, **settings), indent=2), encoding="utf-8")
                burnish(folder, "run", str(path))
    for step, name in (("tune", "orders"), ("replay", "support")):
        burnish(folder, "adapters", "register", f"support-bot.{step}@2", "--name", name, "--because", "first try")


def take_pictures(workspace: Path, folder: Path) -> None:
    """Every picture that web/browser/pictures.mjs takes, as PNG of few colors."""
    from PIL import Image  # only here: no other part of the documentation needs it

    with tempfile.TemporaryDirectory() as raw:
        words = ["--workspace", str(workspace), "ui", "--no-open", "--port", "0"]
        server = subprocess.Popen(
            [sys.executable, "-m", "burnish.cli.main", *words], stdout=subprocess.PIPE, text=True, cwd=workspace
        )
        assert server.stdout is not None
        try:
            login = next(line.strip() for line in server.stdout if "/login#token=" in line)
            chromium = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
            script = ROOT / "web" / "browser" / "pictures.mjs"
            subprocess.run(["node", str(script), chromium, login, raw], check=True, cwd=ROOT / "web")
        finally:
            server.terminate()
            server.wait(30)
            server.stdout.close()
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(Path(raw).glob("*.png")):
            small = Image.open(path).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
            data = io.BytesIO()
            small.save(data, "PNG", optimize=True)
            assert data.tell() <= MOST_BYTES, f"{path.name} has {data.tell():,} bytes"
            (folder / path.name).write_bytes(data.getvalue())
            print(f"{path.name}: {data.tell():,} bytes")


def main(kept: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Path(kept or temporary).absolute()
        make_workspace(workspace)
        take_pictures(workspace, Path(os.environ.get("PICTURES", PICTURES)))


if __name__ == "__main__":
    main(*sys.argv[1:2])
