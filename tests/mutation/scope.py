"""Which files are mutated, room by room, and which tests may catch a mutant. All paths are those of the tree."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "burnish"
TESTS = ROOT / "tests"
CACHE = ROOT / ".mutants"

ROOMS = ("train", "tokens", "models", "evals", "reports", "data", "core")
LEFT_OUT = ("data/synthesize/", "evals/chart.py", "reports/style.py", "train/reporting/curve.py", "core/version.py")
"""Not mutated: the words of the demo's rows, the look of pictures, and a number."""
NOT_RUN = ("mutation",)
"""The tests of this tool."""


@dataclass(frozen=True)
class Source:
    """A file of the package: `name` is its path below `src/burnish`."""

    name: str
    path: Path

    @property
    def room(self) -> str:
        return self.name.partition("/")[0]

    def read(self) -> bytes:
        return self.path.read_bytes()


def sources() -> list[Source]:
    """All files of the package."""
    found = sorted(path for path in SOURCE.rglob("*.py") if path.stat().st_size)
    return [Source(path.relative_to(SOURCE).as_posix(), path) for path in found]


def mutated(rooms: tuple[str, ...] = ROOMS) -> list[Source]:
    """The files that are mutated."""
    return [source for source in sources() if source.room in rooms and not source.name.startswith(LEFT_OUT)]


def test_files() -> list[Path]:
    """The test files that are run, as paths below the root; those of the mutated rooms first."""
    found = [path.relative_to(ROOT) for path in TESTS.rglob("test_*.py")]
    those = [path for path in found if path.parts[1] not in NOT_RUN]
    return sorted(those, key=lambda path: (path.parts[1] not in ROOMS, path))
