"""Stages that do next to nothing; a fixture lays them out as an installed package, and workers find them there."""

import atexit
import errno
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Tag

from burnish.core.catalog import Stage
from burnish.core.context import Context, Outcome, ShareDoneError
from burnish.core.errors import RunError
from burnish.core.events import Metric, Note, Progress
from burnish.specs.base import RUNTIME, DataRef, ModelRef, Spec, by_kind
from burnish.specs.launch import LaunchSpec


class MakeSpec(Spec):
    """Write a word to a file."""

    word: str = "hello"
    """The word."""
    times: int = Field(default=1, ge=1)
    """How often."""
    seed: int = 0
    """Another seed."""
    certified: bool = False
    """Whether it has a certificate."""
    threads: Annotated[int, RUNTIME] = 1
    """Where it runs, not what it makes."""
    machine: Annotated[str, RUNTIME] = ""
    """Where it runs, with other numbers than elsewhere."""


CERTIFICATE = {
    "change": "same",
    "parent": {"ref": "hub:org/parent", "fingerprint": "0123"},
    "child": {"ref": "", "fingerprint": ""},
    "holds": False,
    "checks": [
        {"name": "tokens", "verdict": "holds", "found": "12 conversations have the same ids", "limit": ""},
        {"name": "kl", "verdict": "does not hold", "found": "0.2 nats per token", "limit": "at most 0.001"},
    ],
    "rows": 12,
    "tokens": 345,
    "burnish": "0.1",
}
"""As a stage gives it."""


def make(spec: MakeSpec, ctx: Context) -> Outcome:
    ctx.emit(Note(text=f"seed {spec.seed}, threads {spec.threads}"))
    (ctx.out / "words.txt").write_text(f"{spec.word}{spec.machine}\n" * spec.times)
    return Outcome("dataset", {"words": spec.times}, {"note": "quick"}, CERTIFICATE if spec.certified else None)


class OneSpec(Spec):
    """One part of several."""

    ref: DataRef
    take: int | None = None


class ShoutSpec(Spec):
    kind: Literal["shout"] = "shout"
    marks: int = 1


class WhisperSpec(Spec):
    kind: Literal["whisper"] = "whisper"
    softness: float = 0.5


class JoinSpec(Spec):
    """Join words of several inputs."""

    source: DataRef | list[OneSpec]
    """Where the words lie."""
    voice: Annotated[Annotated[ShoutSpec, Tag("shout")] | Annotated[WhisperSpec, Tag("whisper")], by_kind("shout")] = (
        ShoutSpec()
    )
    """How it is said."""
    read: Literal["all", "source", "nothing"] = "all"
    """What the stage looks at."""


def join(spec: JoinSpec, ctx: Context) -> Outcome:
    if spec.read == "nothing":
        ctx.check_settings()
        raise AssertionError("check_settings() let unread settings pass")
    if isinstance(spec.source, str):
        paths = [ctx.input("source").path]
    else:
        paths = [ctx.input(f"source.{i}.ref").path for i in range(len(spec.source))]
        if spec.read == "all":
            _ = [one.take for one in spec.source]
    if spec.read == "all":
        _ = spec.voice.marks if isinstance(spec.voice, ShoutSpec) else spec.voice.softness
    text = "".join((path / "words.txt" if path.is_dir() else path).read_text() for path in paths)
    (ctx.out / "words.txt").write_text(text)
    return Outcome("dataset", {"words": text.count("\n")})


class SlowSpec(Spec):
    """Work until told to stop, or until a file appears."""

    release: str
    """The file."""
    deaf: bool = False
    """Do not listen to a wish to stop."""
    numb: bool = False
    """Feel no signal at all, as in the depths of a library."""
    checkpoint: bool = True
    """Save something to go on from."""
    resume: Annotated[str, RUNTIME] = "auto"
    """As training stages have it."""
    source: DataRef | None = None
    """Rows, read at the start."""
    threads: Annotated[int, RUNTIME] = 1
    """Where it runs, not what it makes."""


def slow(spec: SlowSpec, ctx: Context) -> Outcome:
    release, deaf, saves, _ = Path(spec.release), spec.deaf, spec.checkpoint, (spec.resume, spec.threads)
    if spec.numb:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    if spec.source is not None:
        ctx.input("source").path.read_bytes()
    resumed = any(ctx.scratch.glob("checkpoints/*"))
    (ctx.out / "half.txt").write_text("half")
    if saves:
        (ctx.scratch / "checkpoints" / "1").mkdir(parents=True, exist_ok=True)
    ctx.emit(Progress(phase="work", done=1, total=2))
    while not release.exists():
        if ctx.stopping and not deaf:
            raise RunError("run.interrupted", "stopped at step 1", "run it again")
        time.sleep(0.01)
    return Outcome("dataset", {"resumed": resumed})


class TalkSpec(Spec):
    """Say something all the time; save and end when told to stop."""

    release: str
    """A file that ends it."""
    pause: float = 0.01
    """Seconds between two words, and what saving takes."""


def talk(spec: TalkSpec, ctx: Context) -> Outcome:
    release, said = Path(spec.release), 0
    while not release.exists():
        said += 1
        ctx.emit(Note(text=f"talking {said}"))
        if ctx.stopping:
            time.sleep(spec.pause)
            (ctx.scratch / "checkpoints" / "1").mkdir(parents=True)
            raise RunError("run.interrupted", "stopped after it was saved", "run it again")
        time.sleep(spec.pause)
    return Outcome("dataset", {})


class FailSpec(Spec):
    """Fail in one of many ways."""

    how: Literal[
        *("value", "disk", "arrow-disk", "memory", "torch-memory", "package", "exit", "abrupt", "segfault", "print"),
        *("silent-rank", "big", "status-5", "unwritable", "thread", "exit-handler", "long", "at-exit", "flood", "hog"),
    ]
    """The way."""
    token: str = ""
    """Something that must not be seen, or the variable that holds it."""


def fail(spec: FailSpec, ctx: Context) -> Outcome:
    token = os.environ.get(spec.token, spec.token)
    hidden = {"api_key": "short1", "text": ["x" * length + token for length in range(60, 140, 8)]}
    (ctx.out / "half.txt").write_text("half")
    match spec.how:
        case "silent-rank":
            raise RunError("run.rank-silent", "process 1 of 2 is silent", "run it again")
        case "value":
            raise ValueError(f"no good: {token} {len(hidden)}")
        case "long":
            try:
                raise ExceptionGroup("x" * 100_000, [ValueError("y" * 100_000)])
            except ExceptionGroup as error:
                last = ValueError("w" * 100_000)
                last.add_note("z" * 100_000)
                raise last from error
        case "disk":
            raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
        case "arrow-disk":
            raise OSError("Error writing bytes to file. Detail: [errno 28] No space left on device")
        case "memory":
            raise MemoryError("cannot have 12 GiB")
        case "torch-memory":
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1 TB")
        case "package":
            __import__("a_package_that_nobody_has")
        case "exit":
            sys.exit(9)
        case "abrupt":
            print("last words", flush=True)
            os._exit(3)
        case "flood":  # of so many MB, at most 100 a second
            for number in range(int(spec.token)):
                os.write(1, b"".join(b"%06d %s\n" % (number, b"x" * 992) for _ in range(1000)))
                time.sleep(0.01)
            os.write(1, b"last words\n")
            os._exit(3)
        case "hog":  # take memory without end, in the group whose file of processes is given
            print("\n".join(f"line {number}" for number in range(100)), flush=True)
            Path(spec.token).write_text(str(os.getpid()))
            for _ in range(64):
                hidden[str(_)] = b"x" * (16 << 20)
        case "status-5":
            os._exit(5)
        case "unwritable":
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            raise OSError(errno.EIO, "Input/output error", "/somewhere")
        case "thread":
            threading.Thread(target=time.sleep, args=(1000,), name="left-over").start()
        case "exit-handler":
            atexit.register(time.sleep, 1000)
        case "at-exit":
            atexit.register(print, "the handler ran")
            threading.Thread(target=lambda: time.sleep(0.1) or print("the thread ended")).start()
            sys.kept_until_teardown = _Freed()  # type: ignore[attr-defined]
        case "segfault":
            import faulthandler

            faulthandler._sigsegv()  # type: ignore[attr-defined]
        case "print":
            print(f"printed {token}")
            print(f"to stderr {token}", file=sys.stderr)
            ctx.emit(Note(text=f"noted {token}"))
            ctx.emit(Metric(step=1, values={"loss": 2.0}))
        case "big":
            with (ctx.out / "big.bin").open("wb") as file:
                for _ in range(64):
                    file.write(b"x" * (1 << 20))
    return Outcome("dataset", {})


class _Freed:
    def __del__(self, write=os.write) -> None:
        write(1, b"the interpreter was torn down")


class ModelSpec(Spec):
    """Take a model and a dataset; give an adapter."""

    base: ModelRef
    data: DataRef | None = None


def model(spec: ModelSpec, ctx: Context) -> Outcome:
    base = ctx.input("base")
    (ctx.out / "adapter_config.json").write_text("{}")
    return Outcome(
        "adapter", {"base_is_there": base.path.is_dir(), "base_kind": base.kind, "has_data": bool(spec.data)}
    )


class ShareSpec(Spec):
    """Wait in several processes until told to stop, or until a file appears; one of them may fail."""

    release: str
    """The file."""
    fails: int = -1
    """The rank that fails, once all have said that they are there."""
    how: Literal["error", "exit", "abrupt", "stopped"] = "error"
    """The way: an error with a code, an exit, no word at all, a process that is stopped."""
    launch: LaunchSpec = LaunchSpec()
    """How many."""


def share(spec: ShareSpec, ctx: Context) -> Outcome:
    release, place = Path(spec.release), (ctx.first_scratch or ctx.scratch) / "there"
    place.mkdir(parents=True, exist_ok=True)
    (place / str(ctx.rank)).write_text(str(os.getpid()))
    print(f"rank {ctx.rank} of {ctx.processes} prints", flush=True)
    ctx.emit(Note(text=f"rank {ctx.rank} of {ctx.processes} is there"))
    (ctx.out / "words.txt").write_text(f"by {ctx.rank}")
    while len(list(place.iterdir())) < ctx.processes:
        time.sleep(0.01)
    if spec.fails == ctx.rank:
        match spec.how:
            case "error":
                raise RunError("run.failed", f"rank {ctx.rank} cannot", "do it alone")
            case "exit":
                sys.exit(9)
            case "abrupt":
                os._exit(3)
            case "stopped":
                os.kill(os.getpid(), signal.SIGSTOP)
    while not release.exists():
        if ctx.stopping:
            raise RunError("run.interrupted", "stopped at step 1", "run it again")
        time.sleep(0.01)
    if ctx.rank > 0:
        raise ShareDoneError
    return Outcome("dataset", {"processes": ctx.processes})


STAGES = [
    Stage("quick-make", "quick_stages:MakeSpec", "quick_stages:make", "dataset"),
    Stage("quick-join", "quick_stages:JoinSpec", "quick_stages:join", "dataset"),
    Stage("quick-slow", "quick_stages:SlowSpec", "quick_stages:slow", "dataset"),
    Stage("quick-talk", "quick_stages:TalkSpec", "quick_stages:talk", "dataset"),
    Stage("quick-fail", "quick_stages:FailSpec", "quick_stages:fail", "dataset"),
    Stage("quick-model", "quick_stages:ModelSpec", "quick_stages:model", "adapter"),
    Stage("quick-share", "quick_stages:ShareSpec", "quick_stages:share", "dataset"),
]
MAKE, JOIN, SLOW, TALK, FAIL, MODEL, SHARE = STAGES
