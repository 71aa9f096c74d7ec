"""The base of all specs: references, marks, variants, reads."""

import re
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from burnish.core.catalog import stages
from burnish.core.errors import AskError
from burnish.core.fingerprint import settings_of
from burnish.core.recipes.validation import all_specs, make_spec
from burnish.specs.base import (
    RUNTIME,
    DataRef,
    ModelRef,
    Runtime,
    Spec,
    Takes,
    fields_with,
    is_a_reference,
    takes_list_of_plain,
    watch,
)
from burnish.specs.tokens import RenderSpec
from burnish.specs.train import CheckpointSpec, EarlyStopSpec, FullSpec, LoraSpec, ScheduleSpec, SftSpec, TrainSpec


class Inner(Spec):
    ref: DataRef
    device: Annotated[str, RUNTIME] = "cpu"


class Outer(Spec):
    one: DataRef | list[Inner]
    base: ModelRef | None = None
    table: dict[str, Inner] = Field(default_factory=dict)
    listed: list[DataRef] = Field(default_factory=list)


@pytest.mark.parametrize(
    "ref", ["step:a", "file:/x y", "hub:o/n@main", "git:.", "builtin:pocket", "recipe.step@3", "a-b.c@latest"]
)
def test_references_have_a_scheme_or_a_version(ref):
    assert is_a_reference(ref) == ref


@pytest.mark.parametrize("ref", ["", "plain", "ftp:x", "step:", "@1", "a@", "gopher://x", "C:\\x"])
def test_anything_else_is_not_a_reference(ref):
    with pytest.raises(ValueError, match="not a reference"):
        is_a_reference(ref)


def test_marked_fields_are_found_in_unions_lists_and_mappings():
    inner = [Inner(ref="file:a"), Inner(ref="file:b")]
    spec = Outer(one=inner, base="hub:x", table={"k": Inner(ref="step:c")}, listed=["file:d", "step:e"])
    assert {path: value for path, _, value in fields_with(spec, Takes)} == {
        "one": spec.__dict__["one"],
        "one.0.ref": "file:a",
        "one.1.ref": "file:b",
        "base": "hub:x",
        "table.k.ref": "step:c",
        "listed.0": "file:d",
        "listed.1": "step:e",
    }
    assert settings_of(spec, dict.fromkeys(("listed.0", "listed.1"), ""))["listed"] == [None, None]
    assert [path for path, _, _ in fields_with(spec, Runtime)] == ["one.0.device", "one.1.device", "table.k.device"]


LISTS = sorted(
    {
        (spec_type, name)
        for row in stages().values()
        for _, spec_type in all_specs(row.spec_type())
        for name, info in spec_type.__pydantic_fields__.items()
        if takes_list_of_plain(info.annotation)
    },
    key=str,
)


def faults_of(spec_type, name, value) -> list[str]:
    """The faults of one field, in a spec that may lack others."""
    try:
        spec_type.model_validate({name: value})
    except ValidationError as error:
        return [fault["msg"] for fault in error.errors() if fault["loc"][:1] == (name,)]
    return []


def test_the_lists_of_words_among_all_settings_are_known():
    assert {name for _, name in LISTS} == {
        *("track", "targets", "train_fully", "modules", "keep", "without_rows", "new_tokens", "new_special_tokens"),
        *("special_tokens", "visible_tokens", "files", "seeds", "ignore", "cors", "vllm_args"),
        *("templates", "include", "exclude", "save_as", "topics", "languages", "text"),
        *("split", "data_files", "allow_hosts", "entries", "kinds", "against"),
    }


@pytest.mark.parametrize(("spec_type", "name"), LISTS, ids=lambda value: getattr(value, "__name__", value))
def test_one_word_is_a_list_of_one(spec_type, name):
    word = {"track": "wandb", "keep": "de", "seeds": 5, "vllm_args": "--x", "cors": "https://a.b"}.get(name, "<word>")
    others = {
        "against": "file:x",
        "templates": "completion",
        "save_as": "jsonl",
        "languages": "zh",
        "allow_hosts": "host",
        "kinds": "email",
    }
    word = others.get(name, word)
    assert faults_of(spec_type, name, word) == faults_of(spec_type, name, [word]) == []
    assert faults_of(spec_type, name, True)
    assert faults_of(spec_type, name, "")
    assert faults_of(spec_type, name, {"a": 1})


def test_a_word_that_a_setting_takes_by_itself_is_not_made_a_list():
    assert LoraSpec(targets="all-linear").targets == "all-linear"
    assert LoraSpec.model_validate({"targets": "q_proj"}).targets == ["q_proj"]
    assert SftSpec.model_validate({"data": "file:a", "base": "file:b", "track": "wandb"}).track == ["wandb"]
    assert Outer.model_validate({"one": "file:a"}).one == "file:a"
    with pytest.raises(ValidationError, match="wand"):
        SftSpec.model_validate({"data": "file:a", "base": "file:b", "track": "wand"})


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


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("targets", "all", "'all' is written all-linear"),
        ("targets", ["all"], "'all' is written all-linear"),
        ("targets", "all_linear", "'all_linear' is written all-linear"),
        ("targets", "q_proj,v_proj", "'q_proj,v_proj' is more than one name: write [q_proj, v_proj]"),
        ("targets", ["o_proj", "q_proj v_proj"], "'q_proj v_proj' is more than one name: write [q_proj, v_proj]"),
        ("train_fully", "lm_head, embed_tokens", "'lm_head, embed_tokens' is more than one name"),
        ("modules", "norm,v_proj", "'norm,v_proj' is more than one name: write [norm, v_proj]"),
        ("modules", ["layers.3.mlp", "a, b,"], "'a, b,' is more than one name: write [a, b]"),
    ],
)
def test_targets_of_other_tools_are_refused_before_anything_runs(field, value, words):
    for kind in ("freeze",) if field == "modules" else ("lora", "qlora"):
        settings = {"base": "hub:a/b", "data": "step:x", "method": {"kind": kind, field: value}}
        with pytest.raises(AskError) as caught:
            make_spec(SftSpec, settings, lambda _: "")
        assert caught.value.what.startswith(f"'method.{field}': {words}")
        assert "\n" not in caught.value.what


@pytest.mark.parametrize("template", ["llama3", "qwen", "chat_template.jinja", "### Instruction:"])
def test_the_name_of_a_template_is_no_template(template):
    settings = {"base": "hub:a/b", "data": "step:x", "render": {"chat_template": template}}
    with pytest.raises(AskError) as caught:
        make_spec(SftSpec, settings, lambda _: "")
    expected = f"'render.chat_template': '{template}' is neither chatml nor a Jinja template"
    assert caught.value.what.startswith(expected)
    assert "remove the setting to use the tokenizer's own" in caught.value.what


def test_a_template_of_jinja_and_a_built_in_one_are_accepted():
    for template in ("chatml", "{{ messages }}", "{% for message in messages %}x{% endfor %}", None):
        assert RenderSpec(chat_template=template).chat_template == template


def test_a_warm_up_is_a_share_or_a_whole_number_of_steps():
    for warmup in (0, 0.5, 0.999, 1, 1.0, 250):
        assert ScheduleSpec(warmup=warmup).warmup == warmup
    for warmup in (1.5, 2.7):
        with pytest.raises(ValidationError, match="a number of steps is whole, and a share of all steps is below 1"):
            ScheduleSpec(warmup=warmup)
