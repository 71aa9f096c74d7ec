"""Make the virtual environment: `python3 tools/environment.py user`, or `dev` for tests and linters as well.

torch is installed first, then burnish, both as wheels and under constraints.txt. Modules are compiled at the end, and
only those that burnish imports: compiling all of torch and transformers takes longer than installing them. Uses the
standard library alone, since it runs before anything is installed.
"""

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {"user": "evals,serve", "dev": "dev"}
STAMPS = {"user": (".ready-user",), "dev": (".ready-user", ".ready-dev")}
IMPORTS = """
import os
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from burnish.core.catalog import stages
for stage in stages().values():
    stage.spec_type(), stage.function()
import burnish.cli.main, burnish.cli.stages, burnish.cli.progress, burnish.jobs.worker, burnish.studio.running
import matplotlib.backends.backend_agg, peft, pyarrow.parquet, safetensors.torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama import modeling_llama
"""
QUIET_SECONDS = 10.0
_UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|Network is unreachable"
    r"|ConnectTimeoutError|ReadTimeoutError|ProxyError|Connection refused|Connection reset"
)
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
FROM_SOURCE = "rouge-score,sqlitedict,word2number"
"""Plain Python that lm-eval needs and that has no wheels."""
INSTALL = ("install", "--progress-bar", "off", "--no-compile", "--only-binary", ":all:", "--no-binary", FROM_SOURCE)


def main() -> int:
    """Install what `kind` needs into `--venv`; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=sorted(EXTRAS))
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    given = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036  (make may find an older python3)
        version = ".".join(map(str, sys.version_info[:3]))
        return failed(f"burnish needs Python 3.11 or newer, and this is {version}", "make PYTHON=python3.12 demo")
    began = time.monotonic()
    python = given.venv / "bin" / "python"
    constraints = ("--constraint", str(ROOT / "constraints.txt"))
    log = given.venv / "install.log"
    step(1, f"virtual environment in {shown(given.venv)}")
    if not ((python.parent / "pip").exists() and python.exists()):
        again = ["--clear"] if (given.venv / "pyvenv.cfg").exists() else []  # its Python was removed
        made = subprocess.run([sys.executable, "-m", "venv", *again, str(given.venv)], check=False)
        if made.returncode != 0:
            return failed(
                f"no virtual environment could be made in {shown(given.venv)}", "see the message above, or use --venv"
            )
    lock = (given.venv / ".setup.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"setup: waiting for another set-up of {shown(given.venv)}", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)  # held until this process ends
    problem = unusable(python)
    if problem:
        return failed(problem, f"remove it and run make again: rm -r {shown(given.venv)}")
    log.write_text("")
    step(2, "PyTorch, about 200 MB on a CPU, several GB with CUDA")
    if not install(python, [*constraints, "torch"], log):
        return 1
    step(3, f"burnish[{EXTRAS[given.kind]}] and what it needs")
    if not install(python, [*constraints, "--editable", f"{ROOT}[{EXTRAS[given.kind]}]"], log):
        return 1
    step(4, "compile the modules that burnish imports")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("a") as output:
        compiling = subprocess.Popen(
            [str(python), "-W", "ignore", "-c", IMPORTS], stdout=output, stderr=output, env=environment
        )
        line = Line()
        while compiling.poll() is None:
            line.show("importing")
            time.sleep(0.2)
        line.end("done" if compiling.returncode == 0 else f"skipped: see {shown(log)}")
    for name in STAMPS[given.kind]:
        (given.venv / name).touch()
    print(f"setup: ready after {duration(time.monotonic() - began)}", flush=True)
    return 0


def unusable(python: Path) -> str:
    """Why an existing environment does not fit the Python that runs this; empty if it does."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    if done.returncode != 0:
        return f"{shown(python)} does not start: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
    found = done.stdout.strip()
    return "" if found == wanted else f"{shown(python.parent.parent)} has Python {found}, and make uses {wanted}"


def install(python: Path, wanted: list[str], log: Path) -> bool:
    """Run pip and show how far it is; its own output goes to the log."""
    command = [str(python), *PIP, *INSTALL, *wanted]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    packages = python.parent.parent / "lib"
    progress = Progress(packages)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        begin = file.tell()
        pip = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
        line = Line()
        while pip.poll() is None:
            line.show(progress.text(read_from(log, begin)))
            time.sleep(0.3)
    said = read_from(log, begin)
    if pip.returncode == 0:
        line.end(progress.summary(said))
        return True
    line.end("failed")
    missing = re.search(r"No matching distribution found for (\S+)", said)
    conflict = re.search(r"ResolutionImpossible|conflicting dependencies", said)
    if _UNREACHABLE.search(said):
        failed(
            "the package index cannot be reached",
            "check the network and proxy (HTTPS_PROXY), or name a mirror: PIP_INDEX_URL=https://… make setup; "
            f"pip's messages are in {shown(log)}",
        )
    elif conflict:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        failed(
            f"the versions in constraints.txt have no wheels that fit together for Python {version} on {sys.platform}, "
            "or the package index cannot be reached",
            f"use Python 3.11, 3.12 or 3.13 with make PYTHON=python3.12; pip names the packages in {shown(log)}",
        )
    elif missing:
        platform = f"Python {sys.version_info.major}.{sys.version_info.minor} on {sys.platform}"
        failed(
            f"no wheel of {missing[1]} for {platform} was found; burnish installs wheels only",
            f"use Python 3.11, 3.12 or 3.13 with make PYTHON=python3.12, or look into {shown(log)}",
        )
    else:
        print("\n".join(f"  {text}" for text in said.splitlines()[-5:]), file=sys.stderr)
        failed(f"pip ended with status {pip.returncode}", f"see {shown(log)}, then run the same command again")
    return False


class Progress:
    """What pip does, from what it prints and from the packages that it has written."""

    def __init__(self, library: Path):
        self._library = library

    def text(self, said: str) -> str:
        """`found 12 packages`, `downloading torch (198.2 MB)`, `installed 5 of 40: numpy`."""
        names = self._to_install(said)
        if names:
            done = self._written(names)
            current = next((name for name in names if name not in done), names[-1])
            return f"installed {len(done)} of {len(names)}: {current}"
        found = len({name.lower() for name in re.findall(r"^Collecting ([\w.-]+)", said, re.M)})
        download = re.findall(r"^\s+Downloading ([\w.]+)-\S+ \(([^)]+)\)$", said, re.M)
        if download and said.rstrip().endswith(f"({download[-1][1]})"):
            return f"found {found} packages, downloading {download[-1][0]} ({download[-1][1]})"
        return f"found {found} packages" if found else "reading requirements"

    def summary(self, said: str) -> str:
        """How many packages there are new ones of."""
        names = self._to_install(said)
        return f"installed {len(names)} packages" if names else "nothing was missing"

    @staticmethod
    def _to_install(said: str) -> list[str]:
        listed = re.search(r"^Installing collected packages: (.+)$", said, re.M)
        return listed[1].split(", ") if listed else []

    def _written(self, names: list[str]) -> set[str]:
        """Those packages whose list of files, which pip writes last, exists."""
        lists = self._library.glob("python*/site-packages/*.dist-info/RECORD")
        found = {normalized(path.parent.name.split("-")[0]) for path in lists}
        return {name for name in names if normalized(name) in found}


class Line:
    """One line that says how far a step is: rewritten on a terminal, printed now and then elsewhere."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._is_terminal = sys.stdout.isatty()

    def show(self, text: str) -> None:
        """Print the state of the step."""
        now = time.monotonic()
        if self._is_terminal:
            print(f"\r\033[K{self._cut(text)}", end="", flush=True)
        elif now - self._last >= QUIET_SECONDS:
            self._last = now
            print(self._cut(text), flush=True)

    def end(self, text: str) -> None:
        """Print the result of the step."""
        print(("\r\033[K" if self._is_terminal else "") + self._cut(text), flush=True)

    def _cut(self, text: str) -> str:
        elapsed = f" ({duration(time.monotonic() - self._began)})"
        width = shutil.get_terminal_size().columns if self._is_terminal else 200
        return f"  {text}"[: width - len(elapsed) - 1] + elapsed


def step(number: int, text: str) -> None:
    print(f"setup {number}/4: {text}", flush=True)


def failed(what: str, fix: str) -> int:
    print(f"error: {what}\nhint:  {fix}", file=sys.stderr, flush=True)
    return 1


def read_from(path: Path, begin: int) -> str:
    with path.open("rb") as file:
        file.seek(begin)
        return file.read().decode("utf-8", "replace")


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run the same command again to finish it", file=sys.stderr)
        sys.exit(130)
