"""The endings of archives: those that `fetch` unpacks, and others."""

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
NOT_UNPACKED = (".7z", ".rar", ".tar.lz4", ".tar.br", ".tar.lzma")


def archive_ending(name: str) -> str:
    """The ending of a name that is an archive, which may be of a kind that is not unpacked; "" for other files."""
    return next((ending for ending in (*ENDINGS, *NOT_UNPACKED) if name.lower().endswith(ending)), "")
