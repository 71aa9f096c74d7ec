"""Settings of `fetch`."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from burnish.specs.base import RUNTIME, Operands, Spec, Takes, is_a_reference
from burnish.specs.data.sources import Encoding, Subset

SourceRef = Annotated[str, Takes(("remote", "rows", "file", "folder")), AfterValidator(is_a_reference)]
"""Where rows are fetched from: a dataset on a hub, a URL, a file, a folder, an archive or a Git repository."""


def _is_a_path_within(path: str) -> str:
    """Accept a path or pattern inside a repository."""
    if path.startswith(("/", "~")) or ".." in re.split(r"[/\\]", path) or "\\" in path:
        raise ValueError(f"'{path}' is not a path inside the repository: write data/train or data/*.jsonl")
    return path


def _is_a_host(name: str) -> str:
    """Accept a host name or an address, without scheme and port."""
    if not re.fullmatch(r"[\w.:%-]+", name) or "//" in name or re.fullmatch(r"[\w.-]+:\d+", name):
        raise ValueError(f"'{name}' is not a host: write its name or address alone, such as localhost")
    return name


def _as_words(value: Any) -> Any:
    """Convert integers, such as a split called 2024, to strings."""
    if isinstance(value, list):
        return [_as_words(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Pattern = Annotated[str, AfterValidator(_is_a_path_within)]


class FetchSpec(Spec):
    """Fetch rows from a hub, a URL, an archive or a repository.

    Every original field is kept. `prepare` or `clean` reads the rows.
    """

    source: Annotated[SourceRef, Operands(one=True)]
    """hub:owner/name@revision, https://host/rows.jsonl, file:PATH or git:URL@revision. A URL may end with
    `#sha256=` and its checksum. Archives are unpacked: zip, tar, tar.gz, tar.bz2, tar.xz, tar.zst."""
    subset: Subset | None = None
    """The subset (config) of a dataset that has several."""
    split: Annotated[list[str], BeforeValidator(_as_words)] = []
    """Fetch only these splits, as the source names them; all by default."""
    data_dir: Pattern | None = None
    """Of a dataset on a hub: read only the files in this folder, whatever its card says."""
    data_files: list[Pattern] = []
    """Of a dataset on a hub: read only these files, whatever its card says. `*` is within a folder, `**` in all."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of rows of each split, from the start of its first file. No more than is needed is downloaded."""
    encoding: Encoding | None = None
    """The encoding of text files, such as `gb18030`. By default UTF-8, the one of a byte-order mark, or GB18030."""
    form: Literal["jsonl", "parquet"] = "jsonl"
    """The type of the files that are written."""
    shard_bytes: int = Field(default=256_000_000, ge=1_000)
    """A new file is begun when the rows of one have this many bytes as JSON."""
    max_bad_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """The step fails if a larger share of rows is bad; otherwise bad rows are written to the quarantine file."""
    allow_hosts: Annotated[list[Annotated[str, AfterValidator(_is_a_host)]], RUNTIME] = []
    """Hosts that may have a private address, such as localhost. By default URLs, what they redirect to and addresses
    of Git must have public ones."""
    timeout: Annotated[float, RUNTIME] = Field(default=60.0, gt=0, le=3600)
    """Seconds without a byte until a connection is given up."""
    retries: Annotated[int, RUNTIME] = Field(default=5, ge=0, le=100)
    """Attempts after the first one, for broken connections, timeouts and servers that are busy. A download continues
    where it broke."""

    @model_validator(mode="after")
    def files_are_chosen_on_a_hub(self) -> "FetchSpec":
        values = self.__dict__
        given = [name for name in ("data_dir", "data_files") if values[name]]
        if given and not values["source"].startswith("hub:"):
            raise ValueError(f"{given[0]} needs a source on a hub (hub:owner/name): otherwise name the folder or file")
        if len(given) == 2:
            raise ValueError("data_dir and data_files exclude each other: write data_files: [DIR/PATTERN]")
        if given and values["subset"] is not None:
            raise ValueError(f"{given[0]} and subset exclude each other: a subset is what the card calls its files")
        return self
