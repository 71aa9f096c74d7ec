"""The registry's functions: `burnish.registry.register("recipe.tune@3", name="support")`, `.promote("support@3")` …"""

from burnish.studio.registry.ancestry import lineage
from burnish.studio.registry.changes import demote, promote, remove, tag, untag
from burnish.studio.registry.collection import gc
from burnish.studio.registry.comparison import diff
from burnish.studio.registry.transfer import export, import_
from burnish.studio.registry.upkeep import reindex
from burnish.studio.registry.versions import listing, register, show

__all__ = [
    "demote",
    "diff",
    "export",
    "gc",
    "import_",
    "lineage",
    "listing",
    "promote",
    "register",
    "reindex",
    "remove",
    "show",
    "tag",
    "untag",
]
