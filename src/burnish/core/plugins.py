"""Objects that installed packages register through entry points.

Importing `importlib.metadata` and reading every package is too slow for `burnish --help`, so the
`entry_points.txt` files are first searched for the group's name.
"""

import os
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.errors import AskError, BurnishError, MachineError
from burnish.core.faults import is_disk_full, is_out_of_memory, reason
from burnish.core.naming import nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class PluginWarning(UserWarning):
    """A plugin is left out; the message names its package, its entry point, the reason and the fix."""


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed package; its code is imported by `load`."""

    group: str
    name: str
    package: str
    """Name and version of the distribution: `quick-stages 1.0`."""
    target: str
    """`module:object`."""
    _entry: "EntryPoint" = field(repr=False)

    def __str__(self) -> str:
        return f"the plugin '{self.name}' of {self.package} ({self.group}: {self.target})"

    @property
    def repair(self) -> str:
        return f"update {self.package.partition(' ')[0]}, or remove it: pip uninstall {self.package.partition(' ')[0]}"

    def load(self) -> Any:
        """Import the object. MachineError `machine.broken-plugin` if its module fails in any way."""
        try:
            return self._entry.load()
        except (Exception, SystemExit) as error:
            raise self.refused(f"cannot be loaded: {type(error).__name__}: {reason(error)}") from error

    @contextmanager
    def guarded(self, what: str = "failed") -> Generator[None]:
        """Name the plugin in any error of its code: `what` completes the sentence.

        Errors of burnish, and a lack of memory or disk, pass.

        Errors: MachineError `machine.broken-plugin`.
        """
        try:
            yield
        except BurnishError:
            raise
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error) or is_disk_full(error):
                raise
            raise self.refused(f"{what}: {type(error).__name__}: {reason(error)}") from error

    def refused(self, why: str, fix: str = "") -> MachineError:
        """The error of a plugin that cannot be used; `why` completes the sentence."""
        return MachineError("machine.broken-plugin", f"{self} {why}", fix or self.repair)


def plugins(group: str) -> Iterator[Plugin]:
    """The entry points of a group, sorted by package and name, so that the order of `sys.path` does not matter."""
    if not any(_mentions(group, Path(folder)) for folder in sys.path):
        return
    found = [Plugin(group, entry.name, _package(entry), entry.value, entry) for entry in _entry_points(group)]
    yield from sorted(found, key=lambda plugin: (plugin.package, plugin.name, plugin.target))


def plugin_named(group: str, name: str, noun: str) -> Plugin:
    """The entry point of a group with this name; `noun` is what it provides, such as `scorer`.

    Errors: AskError `ask.bad-reference` if no package provides it, MachineError `machine.broken-plugin` if two do.
    """
    known = list(plugins(group))
    found = [plugin for plugin in known if plugin.name == name]
    if not found:
        hint = nearest(name, {plugin.name for plugin in known})
        raise AskError("ask.bad-reference", f"no installed package provides the {noun} '{name}'", hint)
    if len({plugin.target for plugin in found}) > 1:
        raise found[0].refused(f"has the same name as {found[1]}", "remove one of the two packages")
    return found[0]


def _entry_points(group: str) -> "Iterator[EntryPoint]":
    """The entry points of a group; a package whose list of them cannot be read is left out by name."""
    from importlib.metadata import distributions, entry_points

    try:
        yield from entry_points(group=group)
        return
    except Exception:  # the parser raises anything, and names no package
        seen = set[str]()
    for distribution in distributions():
        package = distribution.metadata["Name"]
        if package in seen:  # the first on the path counts
            continue
        seen.add(package)
        try:
            yield from distribution.entry_points.select(group=group)
        except Exception as error:
            what = f"the entry_points.txt of {package} cannot be read: {type(error).__name__}: {reason(error)}"
            warn_left_out(MachineError("machine.broken-plugin", what, f"install {package} again, or remove it"))


def warn_left_out(error: MachineError) -> None:
    """Warn that a plugin is left out. The command line and the worker show the warning in their own way."""
    warnings.warn(f"{error.what}; it is left out ({error.fix})", PluginWarning, stacklevel=3)


def _package(entry: "EntryPoint") -> str:
    distribution = entry.dist
    return "an unknown package" if distribution is None else f"{distribution.name} {distribution.version}"


def _mentions(group: str, folder: Path) -> bool:
    """True if a package in `folder` names the group, and for a zip file, which is not searched here."""
    try:
        names = os.listdir(folder)
    except NotADirectoryError:
        return True
    except OSError:
        return False
    infos = (folder / name for name in names if name.endswith((".dist-info", ".egg-info")))
    return any(_names(group, info / "entry_points.txt") for info in infos)


def _names(group: str, file: Path) -> bool:
    try:
        return f"[{group}]".encode() in file.read_bytes()
    except OSError:
        return False
