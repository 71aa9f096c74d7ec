"""The catalog: built-in stages, those of installed packages, and the kinds that they produce."""

import pytest

from burnish.core.catalog import Stage, stage, stages
from burnish.core.errors import AskError, MachineError
from burnish.core.plugins import PluginWarning
from burnish.specs.base import Spec
from burnish.specs.models import CombineSpec
from burnish.specs.ship import ExportSpec
from burnish.specs.train import FullSpec, LoraSpec, PretrainSpec, SftSpec


def test_an_installed_package_adds_its_stages_through_its_entry_points(quick_stages):
    assert stage("quick-make").spec_type() is quick_stages.MakeSpec
    assert stage("quick-make").function() is quick_stages.make
    assert next(iter(stages())) == "fetch"


def test_without_that_package_the_nearest_name_is_suggested():
    with pytest.raises(AskError) as caught:
        stage("prepar")
    assert (caught.value.code, caught.value.fix) == ("ask.unknown-stage", "did you mean 'prepare'?")


def test_the_kind_of_a_trained_artifact_follows_from_its_method():
    sft, pretrain = stage("sft"), stage("pretrain")
    given = {"base": "hub:x", "data": "file:y"}
    assert sft.kind_for(SftSpec(**given)) == "adapter"
    assert sft.kind_for(SftSpec(**given, method={"kind": "full"})) == "model"
    assert pretrain.kind_for(PretrainSpec(**given)) == "model"
    assert pretrain.kind_for(PretrainSpec(**given, method={"kind": "lora"})) == "adapter"
    parts = {"adapters": [{"adapter": "file:a", "weight": 1}, {"adapter": "file:b", "weight": 1}]}
    assert stage("combine").kind_for(CombineSpec(**parts)) == "adapter"
    assert stage("combine").kind_for(CombineSpec(**parts, into="base")) == "model"
    export = stage("export")
    assert [export.kind_for(ExportSpec(model="file:x", form=form)) for form in ("model", "adapter")] == [
        "model",
        "adapter",
    ]


def test_a_stage_is_plain_text_until_it_is_resolved():
    row = Stage("x", "no_such_module:Spec", "no_such_module:run", "dataset")
    with pytest.raises(MachineError, match=r"no_such_module:Spec of stage 'x' cannot be loaded") as caught:
        row.spec_type()
    assert caught.value.code == "machine.broken-plugin"


ROW = """
from burnish.core.catalog import Stage
X = Stage("{0}", "burnish.specs.data:SynthesizeSpec", "{1}:run", "dataset")
"""
BROKEN = {
    "import a_package_that_nobody_has": "ModuleNotFoundError: No module named 'a_package_that_nobody_has'",
    "from burnish.core.catalog import Stag as X": "ImportError: cannot import name 'Stag'",
    "def (": "SyntaxError: ",
    "X = 1 / 0": "ZeroDivisionError: division by zero",
    "Y = 1": "AttributeError: module 'extra_stages' has no attribute 'X'",
    "raise SystemExit(3)": "SystemExit: 3",
    "X = 7": "is of type int, not a burnish.core.catalog.Stage",
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_plugin_that_does_not_load_is_named_and_all_other_stages_work(install, code):
    install("extra-stages", {"burnish.stages": {"more": "extra_stages:X"}}, code)
    with pytest.warns(PluginWarning) as warned:
        assert stage("sft").spec_type() is SftSpec
    said = str(warned[0].message)
    assert "the plugin 'more' of extra-stages 1.0 (burnish.stages: extra_stages:X)" in said
    assert BROKEN[code] in said
    assert "pip uninstall extra-stages" in said
    with pytest.raises(MachineError, match="unknown stage 'more'") as caught:
        stage("more")
    assert caught.value.code == "machine.broken-plugin"
    assert BROKEN[code] in caught.value.what


@pytest.mark.parametrize("name", ["sft", "prepare", "merge"])
def test_a_plugin_cannot_replace_a_built_in_stage(install, name):
    install("other-stages", {"burnish.stages": {name: "other_stages:X"}}, ROW.format(name, "other"))
    with pytest.warns(
        PluginWarning, match=f"of other-stages 1.0 .* adds a stage '{name}', which is built in and stays"
    ):
        row = stage(name)
    assert row.run.startswith("burnish.stages.")


def test_of_two_plugins_that_add_the_same_stage_neither_is_used(install):
    for package in ("one", "two"):
        install(package, {"burnish.stages": {"x": f"{package}:X"}}, ROW.format("twice", package))
    install("good", {"burnish.stages": {"x": "good:X", "same": "good:X"}}, ROW.format("good", "good"))
    with pytest.warns(PluginWarning) as warned:
        found = stages()
    assert [str(one.message).partition(" (")[0] for one in warned] == [
        "the plugin 'x' of one 1.0",
        "the plugin 'x' of two 1.0",
    ]
    assert all("adds a stage 'twice', and so does" in str(one.message) for one in warned)
    assert "twice" not in found
    assert found["good"].run == "good:run"


def test_the_version_of_a_stage_is_part_of_every_fingerprint_of_its_steps():
    """Another number makes every finished step of that stage new, in every workspace."""
    changed = {
        "fetch": 2,
        "clean": 2,
        "profile": 3,
        "prepare": 3,
        "tokenizer": 2,
        "pretrain": 2,
        "sft": 2,
        "evaluate": 2,
        "gguf": 2,
    }
    assert {name: row.version for name, row in stages().items()} == {**dict.fromkeys(stages(), 1), **changed}
    assert Stage("x", "a:b", "a:c", "dataset").version == 1


def test_each_built_in_stage_has_its_spec_and_the_kind_it_produces():
    kinds = {
        "fetch": ("FetchSpec", "rows"),
        "synthesize": ("SynthesizeSpec", "dataset"),
        "clean": ("CleanSpec", "rows"),
        "prepare": ("PrepareSpec", "dataset"),
        "profile": ("ProfileSpec", "profile"),
        "tokenizer": ("TokenizerTrainSpec", "tokenizer"),
        "pretrain": ("PretrainSpec", "model"),
        "sft": ("SftSpec", "adapter"),
        "dpo": ("DpoSpec", "adapter"),
        "kto": ("KtoSpec", "adapter"),
        "orpo": ("OrpoSpec", "adapter"),
        "simpo": ("SimpoSpec", "adapter"),
        "reward": ("RewardSpec", "adapter"),
        "reference": ("ReferenceSpec", "log-probabilities"),
        "grpo": ("GrpoSpec", "adapter"),
        "ppo": ("PpoSpec", "adapter"),
        "evaluate": ("EvaluateSpec", "evaluation"),
        "judge": ("JudgeSpec", "evaluation"),
        "certify": ("CertifySpec", "certificate"),
        "compare": ("CompareSpec", "comparison"),
        "merge": ("MergeSpec", "model"),
        "export": ("ExportSpec", "model"),
        "gguf": ("GgufSpec", "gguf"),
        "quantize": ("QuantizeSpec", "model"),
        "serve": ("ServeSpec", "serving"),
        "combine": ("CombineSpec", "adapter"),
        "generate": ("GenerateSpec", "generations"),
    }
    assert {name: (row.spec_type().__name__, row.produces) for name, row in stages().items()} == kinds


class Tuned(Spec):
    method: FullSpec | LoraSpec | None = None


@pytest.mark.parametrize("produces", ["adapter", "model", "dataset"])
def test_only_a_method_of_training_changes_the_kind(produces):
    row = Stage("x", "a:b", "a:c", produces)
    trains = produces != "dataset"
    assert row.kind_for(Tuned()) == produces
    assert row.kind_for(Tuned(method=LoraSpec())) == ("adapter" if trains else produces)
    assert row.kind_for(Tuned(method=FullSpec())) == ("model" if trains else produces)


def test_a_good_plugin_is_used_although_another_is_broken(install):
    install("a-broken", {"burnish.stages": {"x": "a_broken:X"}}, "X = 7")
    install("b-good", {"burnish.stages": {"x": "b_good:X"}}, ROW.format("good", "good"))
    with pytest.warns(PluginWarning, match="of type int"):
        found = stages()
    assert found["good"].run == "good:run"
    assert stage("good") is found["good"]
    with pytest.raises(MachineError) as caught:
        stage("goood")
    assert (caught.value.what, caught.value.fix) == (
        "unknown stage 'goood'; left out: the plugin 'x' of a-broken 1.0 (burnish.stages: a_broken:X) "
        "is of type int, not a burnish.core.catalog.Stage",
        "update a-broken, or remove it: pip uninstall a-broken",
    )


def test_plugins_that_add_equal_stages_do_not_stand_in_each_others_way(install):
    for package in ("one", "two", "three"):
        install(package, {"burnish.stages": {"x": f"{package}:X"}}, ROW.format("same", "same"))
    assert stages()["same"].run == "same:run"
    install("four", {"burnish.stages": {"x": "four:X"}}, ROW.format("same", "other"))
    with pytest.warns(PluginWarning) as warned:
        assert "same" not in stages()
    assert len(warned) == 4
    assert (
        "adds a stage 'same', and so does the plugin 'x' of one 1.0 (burnish.stages: one:X) and the plugin 'x' of "
        "three 1.0 (burnish.stages: three:X) and the plugin 'x' of two 1.0 (burnish.stages: two:X): none of them is "
        "used"
    ) in str(warned[0].message)


def test_a_package_whose_entry_points_cannot_be_read_is_left_out_by_name(install):
    install("good", {"burnish.stages": {"more": "good:X"}}, ROW.format("more", "good"))
    site = install("torn", {"burnish.stages": {"other": "torn:X"}})
    with (site / "torn-1.0.dist-info" / "entry_points.txt").open("ab") as file:
        file.write(b"\xff")
    with pytest.warns(PluginWarning, match="the entry_points.txt of torn cannot be read: UnicodeDecodeError"):
        found = stages()
    assert "more" in found
    assert "other" not in found
