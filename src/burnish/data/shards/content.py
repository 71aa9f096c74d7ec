"""Whether the shards of a folder of rows are the ones that were written: by their hashes, which are known already."""

from typing import Any

from burnish.core.context import Input
from burnish.core.fingerprint import content_files, of_file, of_manifest
from burnish.core.inputs.checks import artifact_at
from burnish.data.shards.manifest import FILE, Manifest, broken, read_manifest, shard_files

_HASHES: dict[str, Any] = {}
"""Hashes of this process, by size, times and inode: an input is opened several times."""


def check_content(input: Input) -> None:
    """Refuse rows whose shards are not the ones that were written; any other input passes.

    Their hashes are known already: an artifact's files are checked before a step reads them, and the fingerprint of
    another folder was made from the hashes of its files. Only without a fingerprint are the shards read here.

    Errors: DataError `data.unreadable` naming the first other shard.
    """
    folder = input.path
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or artifact_at(input) is not None or _is_as_written(input, manifest):
        return
    for shard, path in shard_files(folder, manifest):
        if of_file(path, _HASHES) != shard.sha256:
            what = f"lists {shard.file}, whose content is not the one that was written: its sha256 is another one"
            raise broken(folder / FILE, what, "the file is damaged or was changed: copy it again, or rerun the step")


def _is_as_written(input: Input, manifest: Manifest) -> bool:
    """Whether the fingerprint is that of a folder with these shards, and its other files as they are."""
    if not input.fingerprint:
        return False
    written = {shard.file: shard.sha256 for shard in manifest.shards}
    names = {file.relative_to(input.path).as_posix(): file for file in content_files(input.path, input.kind)}
    files = {name: {"sha256": written.get(name) or of_file(file, _HASHES)} for name, file in names.items()}
    return of_manifest(files, input.kind) == input.fingerprint
