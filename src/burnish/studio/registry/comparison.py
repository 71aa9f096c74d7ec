"""What differs between two versions of the registry."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from burnish.core.fingerprint import differences, flattened
from burnish.core.registry.entries import Version
from burnish.core.registry.evidence import gather
from burnish.core.registry.registry import Registry
from burnish.core.runs.workspace import Workspace
from burnish.studio.registry.versions import version_of


def diff(
    one: str, other: str, *, kind: str | None = None, workspace: Path | str | None = None
) -> dict[str, dict[str, Any]]:
    """For each part (settings, data, measures, scores, evidence, files …), the names that differ with both values.

    Errors: AskError `ask.bad-reference`, `ask.wrong-kind`.
    """
    place = Workspace.find(workspace)
    registry = Registry(place)
    a, b = (_parts(version_of(ref, kind, registry), place) for ref in (one, other))
    return {part: found for part in a if (found := differences(a[part], b[part]))}


def _parts(version: Version, place: Workspace) -> dict[str, dict[str, Any]]:
    record, case = version.record, gather(version.record, place)
    files: Mapping[str, Any] = record["files"] or {}
    base: Mapping[str, Any] = record.get("base") or {}
    made_by: Mapping[str, Any] = record.get("made_by") or {}
    made: dict[str, Any] = {
        "version": version.ref,
        "stage": version.stage,
        "tags": ", ".join(version.tags),
        "fingerprint": version.fingerprint[:12],
        "tokenizer": _short(record.get("tokenizer")),
        "template": _short(record.get("template")),
        **{f"base.{key}": _short(value) for key, value in base.items()},
        **{f"made_by.{key}": value for key, value in made_by.items()},
        "burnish": record.get("burnish"),
    }
    data = _by_reference((source["ref"], _short(source["fingerprint"])) for source in record.get("data", ()))
    scores: dict[str, float] = {}
    for one in reversed(case.of("score")):  # the newest counts
        scores |= one.scores or {}
    evidence = {kind: _state(case.of(kind)) for kind in ("certificate", "proof", "verdict")}
    sizes = {"bytes": sum(file["size"] for file in files.values()), "files": len(files)}
    hashes = {name: f"{file['size']:,} bytes {file['sha256'][:12]}" for name, file in files.items()}
    licences = _by_reference((one["ref"], one["licence"]) for one in record.get("licences", ()))
    return {
        "version": made,
        "settings": flattened(record.get("settings", {})),
        "data": data,
        "licences": licences,
        "measures": dict(record.get("measures", {})),
        "scores": scores,
        "evidence": evidence,
        "files": {**sizes, **hashes},
    }


def _by_reference(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """All values of each reference: a file may have changed between the training of a base and that of an adapter."""
    found: dict[str, list[str]] = {}
    for ref, value in pairs:
        found.setdefault(ref, []).append(value)
    return {ref: ", ".join(sorted(values)) for ref, values in found.items()}


def _state(found: list[Any]) -> str | None:
    return f"{found[0].state}: {found[0].found}" if found else None


def _short(value: Any) -> Any:
    return value[:12] if isinstance(value, str) and len(value) in (40, 64) else value
