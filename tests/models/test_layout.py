"""Where the parts of a weight lie in the files, against transformers' own operations on real tensors."""

import json

import pytest
import torch
from transformers.core_model_loading import Chunk, Concatenate, MergeModulelist, Transpose, WeightConverter

from burnish.core.errors import ModelError
from burnish.models.layout import Place, _follow, _rows_fit, _targets, locate, skeleton_of
from burnish.models.weights import TensorInfo
from burnish.testing import tiny_model

A, B = "experts.*.w1.weight", "experts.*.w3.weight"


def files_of(named):
    return {name: TensorInfo(name, "F32", tuple(tensor.shape), None, 0) for name, tensor in named.items()}


def read(places, shape, files):
    """The weight of these places: the definition of a `Place`, part by part."""
    weight = torch.full(shape, torch.nan)
    for place in places:
        tensor = files[place.tensor]
        part = weight if place.expert is None else weight[place.expert]
        rows, block = place.rows or (0, part.shape[0]), place.block or (0, tensor.shape[0])
        assert place.shape_of(shape) == (rows[1] - rows[0], *part.shape[1:])
        assert place.shape_in(tuple(tensor.shape)) == (block[1] - block[0], *tensor.shape[1:])
        part[rows[0] : rows[1]] = tensor[block[0] : block[1]]
    return weight


def matrices(names, *shape):
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(*shape, generator=generator) for name in names}


def test_experts_are_stacked_in_their_order():
    files = matrices(["e.0", "e.1", "e.2"], 4, 5)
    converter = WeightConverter("e.*", "experts.down", operations=[MergeModulelist(dim=0)])
    found = _follow(converter, "experts.down", {"e.*": list(files)}, files_of(files))
    assert found == {"experts.down": [Place("e.0", 0), Place("e.1", 1), Place("e.2", 2)]}
    assert torch.equal(read(found["experts.down"], (3, 4, 5), files), torch.stack(list(files.values())))


def test_branches_of_experts_are_joined_by_rows_in_the_order_of_the_converter():
    gates, ups = matrices(["0.w1", "1.w1"], 4, 5), matrices(["0.w3", "1.w3"], 6, 5)
    files = gates | ups
    converter = WeightConverter([A, B], "experts.both", operations=[MergeModulelist(dim=0), Concatenate(dim=1)])
    sources = {B: list(ups), A: list(gates)}  # as found, not as joined
    found = _follow(converter, "experts.both", sources, files_of(files))
    assert list(found) == ["experts.both"]
    joined = torch.cat([torch.stack(list(gates.values())), torch.stack(list(ups.values()))], dim=1)
    assert torch.equal(read(found["experts.both"], (2, 10, 5), files), joined)
    alone = _follow(converter, "experts.both", {A: ["0.w1"], B: ["0.w3"]}, files_of(files))
    assert [place.rows for place in alone["experts.both"]] == [(0, 4), (4, 10)]


def test_tensors_are_joined_by_rows():
    files = {"q": torch.randn(4, 3), "k": torch.randn(2, 3), "v": torch.randn(5, 3)}
    converter = WeightConverter(["q", "k", "v"], "qkv", operations=[Concatenate(dim=0)])
    found = _follow(converter, "qkv", {"k": ["k"], "v": ["v"], "q": ["q"]}, files_of(files))
    assert list(found) == ["qkv"]
    assert torch.equal(read(found["qkv"], (11, 3), files), torch.cat(list(files.values())))


def test_a_tensor_is_split_into_equal_blocks_of_rows():
    files = {"x.qkv.weight": torch.randn(12, 3)}
    targets = ["q.weight", "k.weight", "v.weight"]
    converter = WeightConverter("qkv.weight", targets, operations=[Chunk(dim=0)])
    found = _follow(converter, "x.q.weight", {"qkv.weight": ["x.qkv.weight"]}, files_of(files))
    assert list(found) == ["x.q.weight", "x.k.weight", "x.v.weight"]
    for places, part in zip(found.values(), files["x.qkv.weight"].chunk(3), strict=True):
        assert torch.equal(read(places, (4, 3), files), part)
    uneven = files_of({"x.qkv.weight": torch.randn(13, 3)})
    assert _follow(converter, "x.q.weight", {"qkv.weight": ["x.qkv.weight"]}, uneven) is None


@pytest.mark.parametrize(
    ("operations", "sources"),
    [
        ([Chunk(dim=1)], {"a": ["a"]}),
        ([Chunk(dim=0)], {"a": ["a", "b"]}),
        ([Chunk(dim=0)], {"a": ["a"], "b": ["b"]}),
        ([Concatenate(dim=1)], {"a": ["a"]}),
        ([MergeModulelist(dim=1)], {"a": ["a"]}),
        ([MergeModulelist(dim=0)], {"a": ["a"], "b": ["b"]}),
        ([MergeModulelist(dim=0), Concatenate(dim=0)], {"a": ["a"]}),
        ([MergeModulelist(dim=1), Concatenate(dim=1)], {"a": ["a"]}),
        ([Concatenate(dim=1), MergeModulelist(dim=0)], {"a": ["a"]}),
        ([Transpose(0, 1)], {"a": ["a"]}),
        ([], {"a": ["a"]}),
    ],
)
def test_other_operations_are_not_followed(operations, sources):
    converter = WeightConverter(["a", "b"], "c", operations=[Transpose(0, 1)])
    converter.operations = operations
    files = files_of(matrices(["a", "b"], 4, 4))
    assert _follow(converter, "c", sources, files) is None


def test_the_outputs_of_a_converter_begin_alike():
    converter = WeightConverter("qkv", ["q", "k"], operations=[Chunk(dim=0)])
    assert _targets(converter, "layers.0.q") == ["layers.0.q", "layers.0.k"]
    assert _targets(converter, "layers.q.0") == ["layers.q.0"]


@pytest.mark.parametrize(
    ("parts", "shape", "fit"),
    [
        ([Place("a")], (4, 3), True),
        ([Place("a", 0), Place("b", 1)], (2, 4, 3), True),
        ([Place("a", 0), Place("b", 1)], (3, 4, 3), False),
        ([Place("a", 0), Place("b", 2)], (2, 4, 3), False),
        ([Place("a", 0), Place("b", 1)], (2, 4), False),
        ([Place("a", 0), Place("b")], (1, 4, 3), False),
        ([Place("a", None, (0, 1)), Place("b", None, (1, 4))], (4, 3), True),
        ([Place("a", None, (0, 1)), Place("b", None, (1, 4))], (5, 3), False),
        ([Place("a", None, (0, 1)), Place("b", None, (1, 4))], (3, 3), False),
        ([Place("a", 0, (0, 2)), Place("b", 0, (2, 4))], (1, 4, 3), True),
        ([Place("a", 0, (0, 2)), Place("b", 0, (2, 4))], (1, 6, 3), False),
    ],
)
def test_parts_fit_when_they_cover_the_weight(parts, shape, fit):
    assert _rows_fit(parts, shape) is fit


def test_a_place_knows_the_shapes_of_its_part():
    assert Place("a").shape_of((4, 3)) == Place("a").shape_in((4, 3)) == (4, 3)
    assert Place("a", 2).shape_of((8, 4, 3)) == (4, 3)
    assert Place("a", None, (3, 9)).shape_of((12, 5)) == (6, 5)
    assert Place("a", 1, (3, 9)).shape_of((2, 12, 5)) == (6, 5)
    assert Place("a", block=(3, 9)).shape_in((12, 5, 7)) == (6, 5, 7)


def test_names_without_a_rule_stay_and_experts_beyond_the_ninth_stay_in_order(tmp_path):
    base = tiny_model(tmp_path, "mixtral", num_local_experts=12, tokenizer=False)
    config = json.loads((base / "config.json").read_text())
    skeleton = skeleton_of(base, config)
    assert {parameter.device.type for parameter in skeleton.parameters()} == {"meta"}
    names = [f"model.layers.0.block_sparse_moe.experts.{n}.w{w}.weight" for n in range(12) for w in (1, 2, 3)]
    shapes = {name: (32, 64) if ".w2." in name else (64, 32) for name in names}
    shuffled = [*sorted(names, key=lambda name: name[::-1]), "lm_head.weight", "model.norm.weight", "unknown.weight"]
    tensors = {name: TensorInfo(name, "F32", shapes.get(name, (1,)), base, 0) for name in shuffled}
    layout = locate(skeleton, tensors)
    assert layout.rearranged == {}
    start = "model.layers.0.block_sparse_moe.experts"
    down = [Place(f"{start}.{n}.w2.weight", n) for n in range(12)]
    both = [
        Place(f"{start}.{n}.{name}.weight", n, rows)
        for name, rows in (("w1", (0, 64)), ("w3", (64, 128)))
        for n in range(12)
    ]
    assert layout.places == {
        "lm_head.weight": [Place("lm_head.weight")],
        "model.norm.weight": [Place("model.norm.weight")],
        "unknown.weight": [Place("unknown.weight")],
        "model.layers.0.mlp.experts.down_proj": down,
        "model.layers.0.mlp.experts.gate_up_proj": both,
    }
    del tensors[f"{start}.11.w2.weight"]  # an expert is missing: the stack is not covered
    assert locate(skeleton, tensors).rearranged == {"model.layers.0.mlp.experts.down_proj": "MergeModulelist"}


def test_a_skeleton_runs_no_code_of_the_model_and_its_refusal_names_the_family(tmp_path):
    (tmp_path / "own.py").write_text("raise SystemExit('code of the model was run')")
    base = tiny_model(tmp_path, tokenizer=False)
    path = base / "config.json"
    own = {"auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    config = {**json.loads(path.read_text()), **own}
    path.write_text(json.dumps(config))
    assert skeleton_of(base, config).config.model_type == "qwen3"
    path.write_text(json.dumps({**config, "num_hidden_layers": -1, "hidden_size": "wide"}))
    with pytest.raises(ModelError, match="cannot be built as a qwen3 causal language model") as caught:
        skeleton_of(base, config)
    assert caught.value.code == "model.broken"
