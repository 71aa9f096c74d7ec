"""Which weights `freeze` trains, how far the backward pass goes, and what is refused by name."""

import pytest
import torch

from burnish.core.errors import AskError, ModelError
from burnish.models.freezing import freeze
from burnish.models.load import load_model
from burnish.specs.train import FreezeSpec, PretrainSpec
from burnish.testing import tiny_model
from families import BUILDABLE, build


def frozen(model, **settings):
    notes = freeze(model, FreezeSpec(**settings))
    trained = {name for name, weight in model.named_parameters(remove_duplicate=False) if weight.requires_grad}
    return trained, [note.text for note in notes]


def all_of(model, *starts):
    return {name for name, _ in model.named_parameters(remove_duplicate=False) if name.startswith(starts)}


@pytest.fixture
def model(tmp_path):
    return load_model(tiny_model(tmp_path, num_hidden_layers=4, tie_word_embeddings=False))


@pytest.fixture
def tied(tmp_path):
    return load_model(tiny_model(tmp_path, tie_word_embeddings=True))


def test_the_last_layers_are_trained_and_the_backward_pass_ends_at_the_first_of_them(model, token_ids):
    trained, notes = frozen(model, layers=2)
    assert trained == all_of(model, "model.layers.2.", "model.layers.3.")
    assert len(notes) == 1
    assert notes[0].endswith("the backward pass ends at layer 3 of 4")
    needs = []
    for layer in model.model.layers:
        layer.register_forward_hook(lambda *given: needs.append(given[-1].requires_grad))
    model(input_ids=token_ids, labels=token_ids).loss.backward()
    assert needs == [False, False, True, True]
    assert {name for name, weight in model.named_parameters() if weight.grad is not None} == trained


@pytest.mark.parametrize(
    ("modules", "starts"),
    [
        (["layers.3.mlp"], ("model.layers.3.mlp.",)),
        (["model.norm", "lm_head"], ("model.norm.", "lm_head.")),
        (["layers.1", "embed_tokens"], ("model.layers.1.", "model.embed_tokens.")),
        (["layers.0.self_attn.q_proj.weight"], ("model.layers.0.self_attn.q_proj.weight",)),
    ],
)
def test_modules_are_named_by_the_end_of_their_path(model, modules, starts):
    assert frozen(model, modules=modules)[0] == all_of(model, *starts)


def test_head_and_embedding_are_trained_beside_the_layers(model):
    trained, notes = frozen(model, layers=1, train_head=True)
    assert trained == all_of(model, "model.layers.3.", "lm_head.")
    assert "ends at layer 4 of 4" in notes[0]
    trained, notes = frozen(model, layers=1, train_embeddings=True)
    assert trained == all_of(model, "model.layers.3.", "model.embed_tokens.")
    assert "ends at" not in notes[0]  # it goes through the whole model


@pytest.mark.parametrize("settings", [{"train_head": True}, {"train_embeddings": True}, {"modules": ["lm_head"]}])
def test_a_weight_that_head_and_embedding_share_is_named(tied, settings):
    trained, notes = frozen(tied, **settings)
    assert trained == {"lm_head.weight", "model.embed_tokens.weight"}
    assert notes[-1] == "embedding and head share one weight, so both are trained"


WITHOUT_ONE_LIST = ("blt", "hrm_text", "longcat_flash")


@pytest.mark.some(every=3)
@pytest.mark.parametrize("family", BUILDABLE)
def test_the_last_layer_of_every_family_is_found(family):
    model = build(family)
    if family in WITHOUT_ONE_LIST:
        with pytest.raises(ModelError, match="its layers are not in one list") as caught:
            freeze(model, FreezeSpec(layers=1))
        assert caught.value.code == "model.unsupported"
        return
    trained, notes = frozen(model, layers=1)
    last = str(model.config.get_text_config(decoder=True).num_hidden_layers - 1)
    assert any(f".{last}." in name for name in trained)
    assert any(not weight.requires_grad for weight in model.parameters())
    shares = not all(f".{last}." in name for name in trained)
    assert shares == any("share weights" in note for note in notes)
    assert shares == (family == "zamba")


def test_an_unknown_name_is_refused_with_the_nearest(model):
    for name in ("down_prj", "layers.4", ""):
        with pytest.raises(ModelError, match=f"is named '{name}'") as caught:
            freeze(model, FreezeSpec(modules=[name]))
        assert caught.value.code == "model.unknown-target"
    with pytest.raises(ModelError) as caught:
        freeze(model, FreezeSpec(modules=["down_prj"]))
    assert "'down_proj'" in caught.value.fix


def test_more_layers_than_the_model_has_are_refused(model):
    assert frozen(model, layers=4)[0] == all_of(model, "model.layers.")
    with pytest.raises(AskError, match=r"method\.layers is 5, and this qwen3 model has 4 layers"):
        freeze(model, FreezeSpec(layers=5))


def test_a_method_that_names_nothing_or_everything_twice_is_refused():
    with pytest.raises(ValueError, match="trains nothing: set layers, modules, train_head or train_embeddings"):
        FreezeSpec()
    with pytest.raises(ValueError, match="layers and modules exclude each other"):
        FreezeSpec(layers=1, modules=["norm"])
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        FreezeSpec(layers=0)


def test_random_weights_cannot_be_frozen():
    with pytest.raises(ValueError, match="method: freeze needs a base"):
        PretrainSpec(
            data="file:d",
            tokenizer="file:t",
            architecture={"model_type": "qwen3"},
            method={"kind": "freeze", "layers": 1},
        )


def test_what_is_frozen_is_frozen_whatever_was_trained_before(model):
    model.requires_grad_(False)
    assert frozen(model, layers=1)[0] == all_of(model, "model.layers.3.")
    model.requires_grad_(True)
    assert frozen(model, train_head=True)[0] == {"lm_head.weight"}
    assert torch.is_grad_enabled()
