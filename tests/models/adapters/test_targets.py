"""What an adapter trains, counted by hand on small models, and the names and shares that are reported."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from burnish.core.errors import ModelError
from burnish.models.adapters.targets import (
    LoraTargets,
    _count,
    _diverted,
    _endings,
    _has_weights,
    _idle,
    _kind,
    _multiplies,
    _names,
    ends_with,
    plan_targets,
    share,
    shortest,
    stacked_experts,
)
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import LoraSpec
from families import build


def plan_of(family="qwen3", model=None, **spec):
    with quiet_transformers():
        return plan_targets(model or build(family), LoraSpec(**spec))


def linear_layers(model):
    head = model.get_output_embeddings()
    return {path: layer for path, layer in model.named_modules() if isinstance(layer, nn.Linear) and layer is not head}


LAYERS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def test_the_plan_of_a_plain_model_is_counted_by_hand():
    model = build("qwen3")
    layers = linear_layers(model)
    covered = sum(layer.weight.numel() for layer in layers.values())
    total = sum(weight.numel() for weight in model.parameters())
    assert plan_of(model=model) == LoraTargets(LAYERS, [], {}, [], covered, 0, total, len(layers))
    queries = [layer for path, layer in layers.items() if path.endswith("q_proj")]
    plan = plan_of(model=model, targets=["q_proj"], train_fully=["lm_head", "norm"])
    head, norm = model.lm_head.weight, model.model.norm.weight
    covered = sum(layer.weight.numel() for layer in queries) + head.numel() + norm.numel()
    assert plan == LoraTargets(["q_proj"], [], {}, [], covered, 0, total, len(queries))


def test_one_layer_of_several_is_named_by_its_path():
    model = build("qwen3", num_hidden_layers=12, layer_types=["full_attention"] * 12)
    assert plan_of(model=model, targets=["1.self_attn.q_proj"]).modules == ["1.self_attn.q_proj"]
    assert plan_of(model=model, targets=["layers.1.mlp.up_proj", "layers.11.mlp.up_proj"]).modules == [
        "1.mlp.up_proj",
        "11.mlp.up_proj",
    ]
    assert plan_of(model=model, targets=["model.layers.1.mlp.up_proj"]).adapted == 1


def test_what_is_trained_fully_takes_no_adapter():
    model = build("qwen3")
    plan = plan_of(model=model, train_fully=["gate_proj", "up_proj", "mlp.down_proj"])
    assert plan.modules == ["k_proj", "o_proj", "q_proj", "v_proj"]
    layers = linear_layers(model)
    assert plan.covered == sum(layer.weight.numel() for layer in layers.values())
    assert plan.adapted == sum("self_attn" in path for path in layers)
    with pytest.raises(ModelError, match=r"supports an adapter \(the model has none\)"):
        plan_of(model=model, targets=["q_proj"], train_fully=["self_attn.q_proj"])


def test_embeddings_and_the_head_take_an_adapter_by_name_only():
    model = build("qwen3")
    plan = plan_of(model=model, targets=["embed_tokens", "lm_head"])
    assert (plan.modules, plan.adapted) == (["embed_tokens", "lm_head"], 2)
    tied = build("qwen3", tie_word_embeddings=True)
    plan = plan_of(model=tied, targets=["embed_tokens", "lm_head"])
    assert plan.covered == tied.get_input_embeddings().weight.numel()
    assert plan.total == sum(weight.numel() for weight in tied.parameters())


def test_a_name_without_weights_is_no_target():
    for name in ("self_attn", "layers", "act_fn", "proj", "j_proj"):
        with pytest.raises(ModelError) as caught:
            plan_of(targets=[name])
        assert caught.value.code == "model.unknown-target"
        assert caught.value.what == f"targets: no module of this qwen3 model is named '{name}'"
    with pytest.raises(ModelError, match="train_fully: no module of this qwen3 model is named 'lm_heed'") as caught:
        plan_of(train_fully=["lm_heed"])
    assert "'lm_head'" in caught.value.fix


EXPERTS = ["model.layers.{}.mlp.experts.down_proj", "model.layers.{}.mlp.experts.gate_up_proj"]


def test_the_experts_of_a_model_are_counted_apart():
    model = build("mixtral")
    count = model.config.num_hidden_layers
    experts = sorted(name.format(layer) for layer in range(count) for name in EXPERTS)
    assert sorted(stacked_experts(model)) == experts
    weights = dict(model.named_parameters())
    sizes = {name: weights[name].numel() for name in experts}
    total = sum(weight.numel() for weight in weights.values())
    frozen = plan_of(model=model)
    assert (frozen.parameters, frozen.frozen_experts) == ([], experts)
    assert (frozen.expert_parameters, frozen.total) == (sum(sizes.values()), total)

    trained = plan_of(model=model, experts=True)
    assert (trained.parameters, trained.frozen_experts) == (["down_proj", "gate_up_proj"], [])
    assert (trained.expert_parameters, trained.adapted) == (0, frozen.adapted + len(experts))
    assert trained.covered == frozen.covered + sum(sizes.values())

    down = plan_of(model=model, targets=["q_proj", "down_proj"])
    assert (down.modules, down.parameters) == (["q_proj"], ["down_proj"])
    assert down.frozen_experts == [name for name in experts if name.endswith("gate_up_proj")]
    assert down.expert_parameters == sum(size for name, size in sizes.items() if name.endswith("gate_up_proj"))
    whole = plan_of(model=model, targets=["q_proj"], train_fully=["experts"])
    assert (whole.parameters, whole.frozen_experts) == ([], [])
    assert whole.covered == down.covered + down.expert_parameters


def test_settings_that_stacked_experts_do_not_take_are_named():
    for setting in ({"dropout": 0.25}, {"dora": True}):
        [(name, value)] = setting.items()
        with pytest.raises(ModelError) as caught:
            plan_of("mixtral", targets=["down_proj"], **setting)
        assert caught.value.what.startswith(f"experts cannot be trained with {name}: {value}")
        assert f"remove method.{name}" in caught.value.fix
        assert plan_of("mixtral", targets=["q_proj"], **setting).modules == ["q_proj"]
    with pytest.raises(ModelError, match="experts: this qwen3 model has no stacked experts"):
        plan_of(experts=True)


def plan(**values):
    usual = {"modules": ["q"], "parameters": [], "left_out": {}, "frozen_experts": [], "covered": 1}
    return LoraTargets(**{**usual, "expert_parameters": 0, "total": 8, "adapted": 2, **values})


def test_a_report_is_these_lines():
    assert [(note.level, note.text) for note in plan().report()] == [
        ("info", "the adapter is on 2 weights, 12.5% of the model's parameters")
    ]
    [note] = plan(adapted=1, covered=2).report()
    assert note.text == "the adapter is on 1 weight, 25% of the model's parameters"
    frozen, expert_parameters = ["a.experts.up", "b.experts.up", "b.experts.down"], 4
    left_out = {"z": ["a.x", "b.y", "c.x"], "b": ["a.w"]}
    found = plan(frozen_experts=frozen, expert_parameters=expert_parameters, left_out=left_out).report()
    assert [(note.level, note.text) for note in found[1:]] == [
        (
            "warning",
            "the experts (experts.down, experts.up), 50% of the parameters, are not trained: "
            "method.experts: true trains them",
        ),
        ("warning", "1 linear layer takes no adapter (w): b"),
        ("warning", "3 linear layers take no adapter (x, y): z"),
    ]


def test_names_are_the_last_parts_and_four_of_them():
    assert _names(["a.x", "b.x", "c.y"]) == "x, y"
    assert _names(["a.d", "a.c", "a.b", "a.a"]) == "a, b, c, d"
    assert _names(["a.d", "a.c", "a.b", "a.a", "a.e"]) == "a, b, c, d and 1 more"
    assert _names([f"a.{letter}" for letter in "gfedcba"]) == "a, b, c, d and 3 more"
    assert _names(["layer.experts.3.up", "layer.experts.4.up"]) == "3.up, 4.up"
    assert _names([]) == ""


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 8, "12.5%"), (1, 4, "25%"), (0, 0, "0%"), (1, 1, "100%"), (1, 1000, "0.1%"), (3, 0, "300%"), (1, 3, "33.3%")],
)
def test_a_share_is_rounded_to_a_tenth_of_a_percent(part, whole, text):
    assert share(part, whole) == text


@pytest.mark.parametrize(
    ("wanted", "others", "names"),
    [
        (["a.q", "b.q"], {"a.k"}, ["q"]),
        (["a.q"], {"b.q"}, ["a.q"]),
        (["x.a.q", "x.b.q"], {"y.a.q"}, ["b.q", "x.a.q"]),
        (["q"], {"a.q"}, ["q"]),
        (["z.k", "a.q"], set(), ["k", "q"]),
        ([], {"a"}, []),
        (["a.b.q", "c.b.q", "c.d.q"], {"q"}, ["b.q", "d.q"]),
    ],
)
def test_names_are_as_short_as_they_are_exact(wanted, others, names):
    found = shortest(wanted, others)
    assert found == names
    assert all(any(ends_with(path, name) for name in found) for path in wanted)


def test_the_ends_of_a_path_are_whole_parts():
    assert _endings("a.b.c") == ["c", "b.c", "a.b.c"]
    assert _endings("a") == ["a"]
    assert [ends_with("a.b.c", name) for name in ("c", "b.c", "a.b.c", "b", "a", ".c", "")] == [True] * 3 + [False] * 4
    assert not ends_with("a.bc", "c")
    assert _kind("layers.12.mlp.3.w10") == "layers.*.mlp.*.w*"


def test_a_shared_weight_counts_once():
    one, other = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(5))
    assert _count([one, other, one]) == 11
    assert _count([]) == 0
    assert [_has_weights(layer) for layer in (nn.Linear(1, 1), nn.ReLU(), nn.Sequential(nn.Linear(1, 1)))] == [
        True,
        False,
        False,
    ]


class Routed(nn.Linear):
    """A layer of transformers with a forward of its own."""

    __module__ = "transformers.models.made"

    def __init__(self, found):
        super().__init__(4, 3)
        self.found = found

    def forward(self, states):
        return self.found(nn.functional.linear(states, self.weight, self.bias))


class Quantized(nn.Linear):
    __module__ = "bitsandbytes.nn"

    def forward(self, states):
        raise AssertionError("it is not tried")


def raises(error):
    def found(states):
        raise error

    return found


@pytest.mark.parametrize(
    ("found", "multiplies"),
    [
        (lambda states: states, True),
        (lambda states: states * 1.001, True),
        (lambda states: states + 1, False),
        (lambda states: states * 1.1, False),
        (lambda states: (states, states), False),
        (lambda states: states[0], False),
        *((raises(error), False) for error in (RuntimeError(), TypeError(), ValueError(), IndexError())),
    ],
)
def test_a_layer_of_transformers_is_tried(found, multiplies):
    torch.manual_seed(0)
    assert _multiplies(Routed(found)) is multiplies


def test_a_plain_or_foreign_layer_is_not_tried():
    assert _multiplies(nn.Linear(4, 3))
    assert _multiplies(Quantized(4, 3))
    with pytest.raises(KeyError):
        _multiplies(Routed(raises(KeyError())))


class Text(nn.Module):
    """Reads ids with the layers `used`; `broken` raises."""

    def __init__(self, broken=None, **config):
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleDict({"used": nn.Linear(1, 1), "idle": nn.Linear(1, 1)}) for _ in "ab")
        self.dropout, self.broken, self.seen = nn.Dropout(), broken, []
        settings = SimpleNamespace(**{"vocab_size": 5, **config})
        self.config, self.device = SimpleNamespace(get_text_config=lambda: settings), torch.device("cpu")

    def forward(self, input_ids, use_cache):
        self.seen.append((input_ids.tolist(), use_cache, self.training, torch.is_grad_enabled()))
        if self.broken:
            raise self.broken
        self.dropout(self.layers[0]["used"](input_ids[..., None].float()))


PATHS = ["layers.0.used", "layers.1.used", "layers.0.idle", "layers.1.idle"]


@pytest.mark.parametrize(
    ("config", "length"),
    [({}, 64), *(({"max_position_embeddings": limit}, length) for limit, length in ((7, 7), (None, 64), (65, 64)))],
)
@pytest.mark.parametrize("training", [True, False])
def test_layers_that_text_never_reaches_are_idle(config, length, training):
    model = Text(**config).train(training)
    before = torch.get_rng_state()
    assert _idle(model, PATHS) == {"layers.0.idle", "layers.1.idle"}  # another of its kind is called
    assert model.seen == [([[place % 5 for place in range(length)]], False, True, False)]
    assert model.training is training
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_a_model_that_does_not_run_on_ids_has_no_idle_layers_and_memory_is_no_result():
    model = Text(ValueError("needs pixels")).eval()
    assert _idle(model, PATHS) == set()
    assert not model.training
    with pytest.raises(MemoryError):
        _idle(Text(MemoryError()), PATHS)
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_peft_takes_names_of_layers_for_experts_in_some_families():
    with quiet_transformers():
        dense = build("qwen3")
        assert _diverted(dense, list(linear_layers(dense))) == set()
        sparse = build("deepseek_v3")
        paths = list(linear_layers(sparse))
        names = ("down_proj", "gate_proj", "up_proj")
        assert _diverted(sparse, paths) == {path for path in paths if path.endswith(names)}


OTHER_TEXT, BY_PEFT, NO_PRODUCT, IDLE, FUSED = (
    "outside the language model",
    "PEFT refuses it in this family",
    "not a plain matrix product",
    "the model reads its weight without calling the layer, or never calls it on text",
    "PEFT matches its name to the experts, and supports the layer only without dropout and DoRA, with init default or "
    "gaussian",
)


def in_layers(start, *names):
    return [f"{start}.{layer}.{name}" for layer in (0, 1) for name in names]


LEFT_OUT = [
    (
        "mamba",
        {},
        {
            BY_PEFT: in_layers("backbone.layers", "mixer.out_proj"),
            IDLE: in_layers("backbone.layers", "mixer.dt_proj"),
        },
    ),
    ("llama4_text", {}, {NO_PRODUCT: in_layers("model.layers", "feed_forward.router")}),
    (
        "bart",
        {},
        {
            IDLE: in_layers(
                "model.decoder.layers", *(f"encoder_attn.{n}" for n in ("k_proj", "out_proj", "q_proj", "v_proj"))
            )
        },
    ),
    *(
        (
            "deepseek_v3",
            setting,
            {FUSED: in_layers("model.layers", *(f"mlp.{name}" for name in ("down_proj", "gate_proj", "up_proj")))},
        )
        for setting in ({"dropout": 0.1}, {"dora": True})
    ),
    ("deepseek_v3", {}, {}),
    ("mixtral", {"dropout": 0.1}, {}),
]


@pytest.mark.parametrize(("family", "spec", "left_out"), LEFT_OUT)
def test_each_layer_that_is_left_out_has_its_reason(family, spec, left_out):
    model = build(family)
    found = plan_of(model=model, **spec)
    assert found.left_out == left_out
    layers = linear_layers(model)
    kept = layers.keys() - {path for paths in left_out.values() for path in paths}
    assert found.adapted == len(kept)
    assert found.covered == sum(layers[path].weight.numel() for path in kept)


def test_the_layers_of_images_are_left_out_and_the_ends_of_the_text_are_not():
    model = build("gemma3")
    found = plan_of(model=model)
    tower = sorted(path for path in linear_layers(model) if ".vision_tower." in path)
    assert {reason: sorted(paths) for reason, paths in found.left_out.items()} == {OTHER_TEXT: tower}
    assert len(tower) > 8
    by_name = plan_of(model=model, targets=["embed_tokens", "lm_head", "fc1"])
    assert by_name.modules == ["embed_tokens", "lm_head"]
    assert list(by_name.left_out) == [OTHER_TEXT]


def test_an_expert_named_by_its_module_is_no_layer_of_its_own():
    plan = plan_of("mixtral", targets=["q_proj", "experts.down_proj", "0.mlp.experts.gate_up_proj"])
    assert plan.modules == ["q_proj"]
    assert plan.parameters == ["0.mlp.experts.gate_up_proj", "down_proj"]
    with pytest.raises(ModelError, match="supports an adapter"):
        plan_of("mixtral", targets=["experts"])
