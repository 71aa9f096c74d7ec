"""The sources of prepare: opened, their layouts detected and reported."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from burnish.core.context import Context, Input
from burnish.core.events import Note
from burnish.data.mixture import Part, open_part, open_prepared
from burnish.data.sources.repository import checkout
from burnish.specs.data import PrepareSpec, SourceSpec


def open_sources(spec: PrepareSpec, ctx: Context) -> list[Part]:
    """Open every source; layouts are detected from the first rows and reported."""
    if isinstance(spec.source, str):
        part = _part(ctx, ctx.input("source"), spec.format, spec.columns, spec.subset, spec.roles, spec.encoding)
        part.refuse_settings(**_raw_settings(spec))
        return [part]
    parts: list[Part] = []
    for i, source in enumerate(spec.source):
        columns = spec.columns if source.columns is None else source.columns
        roles = spec.roles if source.roles is None else source.roles
        layout = (
            source.format or spec.format,
            columns,
            source.subset or spec.subset,
            roles,
            source.encoding or spec.encoding,
        )
        part = _part(ctx, ctx.input(f"source.{i}.ref"), *layout)
        part.refuse_settings(**_raw_settings(source))
        is_mixed = len(spec.source) > 1
        own = {"take": source.take, "tag": source.tag, "split": source.split or ""}
        parts.append(replace(part, **own, number=i, is_mixed=is_mixed))
    if all(part.found is None for part in parts):
        parts[0].refuse_settings(**_raw_settings(spec))
    return parts


def _raw_settings(spec: PrepareSpec | SourceSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in ("format", "columns", "subset", "roles", "encoding")}


def _part(
    ctx: Context,
    input: Input,
    format: str,
    columns: Mapping[str, str],
    subset: str | None,
    roles: Mapping[str, str],
    encoding: str | None,
) -> Part:
    part = open_prepared(input)
    if part is None:
        part = open_part(input, checkout(input, ctx.scratch), format, columns, subset, roles, encoding)
        ctx.emit(Note(text=f"{input.ref}: {layout_of(part)}"))
    return part


def layout_of(part: Part) -> str:
    return "prepared" if part.found is None else f"format {part.found.format.name}, since {part.found.reason}"
