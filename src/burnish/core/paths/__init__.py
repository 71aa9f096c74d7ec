"""Paths as users write them, of this system, Windows, a share or WSL: all that are given go through here."""

from burnish.core.paths.windows import is_windows_path
from burnish.core.paths.written import (
    current_folder,
    current_folder_gone,
    expanded,
    of_reference,
    refuse_undecodable,
    resolved,
)

__all__ = [
    "current_folder",
    "current_folder_gone",
    "expanded",
    "is_windows_path",
    "of_reference",
    "refuse_undecodable",
    "resolved",
]
