"""The base of all specs: references, marks, variants, reads."""

import re
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from burnish.specs.base import RUNTIME, DataRef, ModelRef, Runtime, Spec, Takes, fields_with, is_a_reference, watch
from burnish.specs.train import CheckpointSpec, EarlyStopSpec, FullSpec, SftSpec, TrainSpec


class Inner(Spec):
    ref: DataRef
    device: Annotated[str, RUNTIME] = "cpu"


class Outer(Spec):
    one: DataRef | list[Inner]
    base: ModelRef | None = None
    table: dict[str, Inner] = Field(default_factory=dict)


@pytest.mark.parametrize(
    "ref", ["step:a", "file:/x y", "hub:o/n@main", "git:.", "builtin:pocket", "recipe.step@3", "a-b.c@latest"]
)
def test_references_have_a_scheme_or_a_version(ref):
    assert is_a_reference(ref) == ref


@pytest.mark.parametrize("ref", ["", "plain", "ftp:x", "step:", "@1", "a@", "http://x", "C:\\x"])
def test_anything_else_is_not_a_reference(ref):
    with pytest.raises(ValueError, match="not a reference"):
        is_a_reference(ref)


def test_marked_fields_are_found_in_unions_lists_and_mappings():
    spec = Outer(one=[Inner(ref="file:a"), Inner(ref="file:b")], base="hub:x", table={"k": Inner(ref="step:c")})
    assert {path: value for path, _, value in fields_with(spec, Takes)} == {
        "one": spec.__dict__["one"],
        "one.0.ref": "file:a",
        "one.1.ref": "file:b",
        "base": "hub:x",
        "table.k.ref": "step:c",
    }
    assert [path for path, _, _ in fields_with(spec, Runtime)] == ["one.0.device", "one.1.device", "table.k.device"]


def test_reads_are_reported_until_the_watcher_ends():
    seen = []
    spec = Inner(ref="file:a")
    unwatch = watch(lambda _, name: seen.append(name))
    _ = spec.ref
    spec.model_dump()
    _ = spec == Inner(ref="file:a")
    list(fields_with(spec, Takes))
    unwatch()
    _ = spec.device
    assert seen == ["ref"]


def test_a_variant_given_as_an_object_survives_a_dump_without_defaults():
    spec = SftSpec(base="hub:x", data="file:y", method=FullSpec())
    again = SftSpec.model_validate(spec.model_dump(mode="json", exclude_unset=True))
    assert again.method == FullSpec()


def test_a_spec_is_frozen_and_refuses_unknown_keys_and_nan():
    with pytest.raises(ValueError):
        Inner(ref="file:a", other=1)
    with pytest.raises(ValueError):
        Inner(ref="file:a").ref = "file:b"
    with pytest.raises(ValueError):
        SftSpec(base="hub:x", data="file:y", learning_rate=float("nan"))


def counts_of(spec: type[Spec]) -> list[str]:
    """The fields of a spec that take an integer."""
    return [name for name, info in spec.model_fields.items() if "int" in re.findall(r"\w+", repr(info.annotation))]


@pytest.mark.parametrize("spec", [TrainSpec, CheckpointSpec, EarlyStopSpec])
def test_no_setting_of_training_takes_a_count_that_no_run_can_have(spec):
    assert len(counts_of(spec)) >= 1
    given = {"data": "file:x"} if spec is TrainSpec else {}
    for name in counts_of(spec):
        with pytest.raises(ValidationError, match="less than or equal to"):
            spec(**given, **{name: 10**22})
        with pytest.raises(ValidationError):
            spec(**given, **{name: 1e22})


def test_epochs_and_warm_up_have_a_bound():
    with pytest.raises(ValidationError, match="less than or equal to"):
        TrainSpec(data="file:x", epochs=1e300)
    with pytest.raises(ValidationError, match="less than or equal to"):
        TrainSpec(data="file:x", schedule={"warmup": 1e300})
