"""Whether runs of one recipe, wherever their steps ran, made the same artifacts."""

from collections.abc import Collection, Mapping

from burnish.core.runs.artifact import Artifact

DEMO_MODELS_AND_DATA = ("data", "data_skills", "tune", "tune_replay", "ship", "small")
"""The steps of the demo whose files are the same to the last byte; in those of the others are times."""


def assert_same(found: Mapping[str, Artifact], alone: Mapping[str, Artifact], same_bytes: Collection[str]) -> None:
    """The same kinds, fingerprints, measures and files; of these steps also the same bytes."""
    assert {name: _lasting(one) for name, one in found.items()} == {name: _lasting(one) for name, one in alone.items()}
    for name in same_bytes:
        assert found[name].as_input("x").digest == alone[name].as_input("x").digest, name


def _lasting(artifact: Artifact) -> tuple[object, ...]:
    """What does not depend on the clock or the load."""
    measures = {name: value for name, value in artifact.measures.items() if "second" not in name}
    return artifact.kind, artifact.fingerprint, measures, sorted(artifact.files or ())
