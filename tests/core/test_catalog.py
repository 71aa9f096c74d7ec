"""The catalog: built-in stages, those of installed packages, and the kinds that they produce."""

import pytest

from burnish.core.catalog import Stage, stage, stages
from burnish.core.errors import AskError
from burnish.specs.train import PretrainSpec, SftSpec


def test_an_installed_package_adds_its_stages_through_its_entry_points(quick_stages):
    assert stage("quick-make").spec_type() is quick_stages.MakeSpec
    assert stage("quick-make").function() is quick_stages.make
    assert next(iter(stages())) == "synthesize"


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


def test_a_stage_is_plain_text_until_it_is_resolved():
    row = Stage("x", "no_such_module:Spec", "no_such_module:run", "dataset")
    with pytest.raises(ModuleNotFoundError):
        row.spec_type()
