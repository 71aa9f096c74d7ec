"""What the steps of a workspace have made: artifacts with their sizes, hashes, licences and certificates."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, BurnishError
from burnish.core.registry.licences import UNKNOWN, consequences, licence_of, licences_of
from burnish.core.registry.registry import Registry
from burnish.core.runs.artifact import Artifact, summary
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.jobs.index.entry import StepEntry, entry_of
from burnish.studio.listing.pages import newest_first
from burnish.studio.listing.snapshots import steps_of

EXPORTED = ("gguf", "gguf-adapter")
EXPORTING = ("export", "gguf", "quantize", "merge")
_MOST_KEPT = 4_096


def artifacts(
    *,
    kinds: Collection[str] = (),
    stages: Collection[str] = (),
    certified: bool = False,
    after: str | None = None,
    limit: int = 200,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """Artifacts of these kinds or stages, the newest first; with `certified` those that have a certificate.

    `artifacts` are at most `limit` rows, those behind the one of the run `after`; `next` names the last if there are
    more. `damaged` are runs whose records cannot be read. Errors: AskError `ask.bad-reference` for an unknown `after`.
    """
    place = Workspace.find(workspace)
    entries = newest_first(steps_of(place))
    damaged = [entry.run for entry in entries if entry.state == "damaged"]
    made = [entry for entry in entries if entry.kind is not None]
    if kinds or stages:
        made = [entry for entry in made if entry.kind in kinds or entry.stage in stages]
    if after is not None:
        names = [entry.run for entry in made]
        if after not in names:
            raise AskError("ask.bad-reference", "there is no such artifact to continue after", "start from the first")
        made = made[names.index(after) + 1 :]
    registered, rows = _registered(place), list[dict[str, Any]]()
    for entry in made:
        if len(rows) > limit:
            break
        try:
            row = _row(Run(place.runs / entry.run), entry, place)
        except BurnishError:  # it was damaged just now
            damaged.append(entry.run)
            continue
        if row and (row["certificate"] is not None or not certified):
            rows.append({**row, "licence": _licence(row, place), "registered": registered.get(row["run"], [])})
    return {
        "artifacts": rows[:limit],
        "next": rows[limit - 1]["run"] if len(rows) > limit else None,
        "damaged": damaged,
    }


def artifact(name: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """One artifact, by its run `recipe/number/step`, or the one that this run reuses: its files with hashes, inputs,
    settings, licences and certificate.

    Its files are compared with their record by size and time: `damage` says how they differ. Errors: AskError
    `ask.no-such-run`; RunError `run.broken-record`.
    """
    place = Workspace.find(workspace)
    run = place.find_run(name)
    row, made = _row(run, entry_of(run), place), run.artifact()
    if row is None or made is None:
        raise AskError("ask.no-such-run", f"{name} has made no artifact", f"its state is {run.state}")
    value = made.as_input(run.reference)
    damage = made.damage(place.hashes())
    licences = licences_of(value)
    return {
        **row,
        "licence": _licence(row, place),
        "registered": _registered(place).get(run.name, []),
        "path": str(made.path),
        "fingerprint": made.fingerprint,
        "digest": value.digest,
        "manifest": [
            {"name": file, "size": about["size"], "sha256": about["sha256"]}
            for file, about in sorted((made.files or {}).items())
        ],
        "inputs": {
            field: {"ref": one.ref, "kind": one.kind, "fingerprint": one.fingerprint}
            for field, one in made.inputs.items()
        },
        "settings": dict(made.spec),
        "licences": licences,
        "terms": consequences(licences),
        "provenance": dict(made.provenance),
        "damage": summary(damage, most=20) if damage else "",
    }


def certificates(*, workspace: Path | str | None = None) -> dict[str, Any]:
    """The certificates of all artifacts that have one, the newest first: whether each holds, and its checks."""
    found = artifacts(certified=True, limit=1_000_000, workspace=workspace)
    shown = ("run", "ref", "kind", "stage", "created", "registered")
    return {
        "certificates": [{**{key: row[key] for key in shown}, **row["certificate"]} for row in found["artifacts"]],
        "damaged": found["damaged"],
    }


def _row(run: Run, entry: StepEntry, place: Workspace) -> dict[str, Any] | None:
    """What a list shows of the artifact of a run, but its licence; None if it has none."""
    try:
        written = (run.folder / "artifact.json").stat().st_mtime_ns
    except OSError:
        return None
    return {**_recorded(run.folder, place.root, written), "stage": entry.stage, "created": entry.created}


def _licence(row: Mapping[str, Any], place: Workspace) -> str:
    """The licence that the files of an artifact state now."""
    made = Run(place.runs / row["run"]).out
    return licence_of(made)[0] if made.is_dir() else UNKNOWN


@lru_cache(maxsize=_MOST_KEPT)
def _recorded(folder: Path, root: Path, written: int) -> Mapping[str, Any]:
    """What artifact.json holds, which was written at that time: records do not change."""
    run, made = Run(folder), Artifact.of(folder, root)
    files: Mapping[str, Mapping[str, Any]] = made.files or {}
    return {
        "run": run.name,
        "ref": run.reference,
        "kind": made.kind,
        "bytes": sum(int(file["size"]) for file in files.values()),
        "files": len(files),
        "base": base.ref if (base := made.as_input(run.reference).base) is not None else None,
        "measures": dict(made.measures),
        "certificate": _certificate(made),
    }


def _certificate(made: Artifact) -> dict[str, Any] | None:
    found = made.certificate
    if found is None:
        return None
    checks: Sequence[Mapping[str, Any]] = found.get("checks", ())
    return {
        "change": found.get("change", ""),
        "parent": found.get("parent", {}).get("ref", ""),
        "child": found.get("child", {}).get("ref", ""),
        "holds": bool(found.get("holds")),
        "checks": [{key: str(check.get(key, "")) for key in ("name", "verdict", "found", "limit")} for check in checks],
        "rows": found.get("rows", 0),
        "tokens": found.get("tokens", 0),
        "burnish": found.get("burnish", ""),
    }


def _registered(place: Workspace) -> dict[str, list[str]]:
    """The versions of the registry by the run that made them."""
    found: dict[str, list[str]] = {}
    for entry in Registry(place).entries()[0]:
        for version in entry.live.values():
            if (made := version.record["artifact"]["run"]) is not None:
                found.setdefault(made, []).append(version.ref)
    return found
