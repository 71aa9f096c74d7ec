"""The rules of an engine, one by one: rooms, batches, leaving, and limits of a model."""

import pytest
import torch
from transformers import DynamicCache, GenerationConfig

from burnish.core.errors import DataError, ModelError, RunError
from burnish.models.engines.protocol import Answer
from burnish.models.engines.transformers import TransformersEngine, _Open
from burnish.models.engines.ways import (
    WAYS,
    ModelSteps,
    PlainSteps,
    Way,
    _differ,
    _padded,
    _Question,
    context_of,
    plain_generation,
    reach_of,
    refuse_not_finite,
)
from burnish.models.load import load_model
from burnish.models.probing import random_ids
from burnish.specs.evals import GenerationSpec
from burnish.testing import tiny_model


class Numbers:
    """A tokenizer whose text is the ids."""

    def decode(self, ids, **_):
        return " ".join(map(str, ids))

    def convert_ids_to_tokens(self, token):
        return str(token)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"), initializer_range=0.4, max_position_embeddings=48)


@pytest.fixture
def model(folder):
    made = load_model(folder)
    made.generation_config.eos_token_id = None
    return made


@pytest.fixture
def engine(model):
    return TransformersEngine(model, Numbers())


def prompt(length, seed=0):
    return torch.randint(3, 250, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize(("ends", "stops"), [(None, []), (7, [7]), ([7, 8], [7, 8]), ([], []), (0, [0])])
def test_the_stops_of_the_generation_config_are_known(model, ends, stops):
    model.generation_config.eos_token_id = ends
    assert TransformersEngine(model, Numbers())._own_stops == stops


def test_a_prompt_has_the_room_that_is_left_of_the_context(engine):
    assert engine.context == 48
    rooms = engine._rooms.of([prompt(length) for length in (1, 37, 38, 39, 47)], 10)
    assert rooms == [10, 10, 10, 9, 1]
    for length in (48, 49):
        with pytest.raises(DataError) as caught:
            engine._rooms.of([prompt(length)], 10)
        assert (caught.value.code, f"{length} tokens" in caught.value.what) == ("data.too-long", True)
    assert engine._rooms.of([[0, 263]], 10) == [10]
    for wrong in ([], [264], [3, -1], [263, 264, 3]):
        with pytest.raises(ModelError) as caught:
            engine._rooms.of([wrong], 10)
        assert caught.value.code == "model.broken"


PADDED, EQUAL, SINGLE = WAYS[0], WAYS[2], WAYS[4]


@pytest.mark.parametrize(
    ("way", "lengths", "reach", "width", "batches"),
    [
        (PADDED, [3, 9, 5, 9], 1 << 30, 2, [(PADDED, [1, 3]), (PADDED, [2, 0])]),
        (PADDED, [3, 9, 5], 1 << 30, 9, [(PADDED, [1, 2, 0])]),
        (PADDED, [3, 9, 5], 1 << 30, 1, [(PADDED, [1]), (PADDED, [2]), (PADDED, [0])]),
        (PADDED, [], 1 << 30, 4, []),
        (EQUAL, [3, 9, 3, 9, 3], 1 << 30, 2, [(EQUAL, [1, 3]), (EQUAL, [0, 2]), (EQUAL, [4])]),
        (EQUAL, [3, 4, 5], 1 << 30, 9, [(EQUAL, [2]), (EQUAL, [1]), (EQUAL, [0])]),
        (SINGLE, [3, 3, 4], 1 << 30, 9, [(SINGLE, [2]), (SINGLE, [0]), (SINGLE, [1])]),
        # with 2 tokens of room each: 10 and more do not pass 12
        (PADDED, [10, 11, 3, 12], 12, 9, [(SINGLE, [3]), (SINGLE, [1]), (PADDED, [0, 2])]),
    ],
)
def test_prompts_are_answered_from_the_longest_to_the_shortest(engine, way, lengths, reach, width, batches):
    engine._way, engine._reach = way, reach
    found = list(engine._batches([prompt(length) for length in lengths], [2] * len(lengths), width))
    assert found == batches


def test_prompts_beyond_the_reach_are_reported_with_their_number(model):
    notes = []
    engine = TransformersEngine(model, Numbers(), notes.append)
    engine._reach = 12
    spec = GenerationSpec(max_new_tokens=4)
    for lengths, far in (([8], 0), ([9, 3, 12], 2)):
        notes.clear()
        engine.generate([prompt(length) for length in lengths], spec, ())
        assert [note.text for note in notes] == (
            [f"{far} prompts may exceed 12 tokens, where layers of this model change; each is run alone"] if far else []
        )
    engine._way = WAYS[-1]
    notes.clear()
    engine.generate([prompt(20)], spec, ())
    assert notes == []


class Watched(PlainSteps):
    """Notes the rows of each step, and which are kept."""

    def __init__(self, *words):
        super().__init__(*words)
        self.rows, self.kept = [], []

    def logits(self, chosen):
        self.rows.append(len(self._ids) if chosen is None else len(chosen))
        return super().logits(chosen)

    def keep(self, rows):
        self.kept.append(rows.tolist())
        super().keep(rows)


@pytest.mark.parametrize(
    ("rooms", "rows", "kept"),
    [
        # three of four are still enough to stay together, two are not
        ([2, 3, 5, 5], [4, 4, 4, 2, 2], [[2, 3]]),
        ([4, 1, 1, 3], [4, 2, 2, 1], [[0, 3], [0]]),
        ([3, 3], [2, 2, 2], []),
    ],
)
def test_finished_prompts_leave_when_fewer_than_three_quarters_are_left(engine, monkeypatch, rooms, rows, kept):
    made = []

    def start(way, model, prompts):
        made.append(Watched(model, *_padded(prompts)))
        return made[0]

    monkeypatch.setattr(Way, "start", start)
    prompts = [prompt(4, seed) for seed in range(len(rooms))]
    opened = [_Open(place, room) for place, room in enumerate(rooms)]
    steps = sum(1 for _ in engine._decode(PADDED, opened, prompts, (), None, None))
    assert (steps, made[0].rows, made[0].kept) == (max(rooms), rows, kept)
    assert [len(row.ids) for row in opened] == rooms
    assert {row.reason for row in opened} == {"length"}


def test_an_answer_ends_at_a_stop_or_at_its_length(engine):
    spec = GenerationSpec(max_new_tokens=6)
    [free] = engine.generate([prompt(5)], spec, ())
    assert (len(free.ids), free.finish_reason, free.text) == (6, "length", " ".join(map(str, free.ids)))
    place = 3
    stop = free.ids[place]
    cut = free.ids[: free.ids.index(stop)]
    [stopped] = engine.generate([prompt(5)], spec, [stop])
    assert stopped == Answer(cut, " ".join(map(str, cut)), "stop", stop)
    words = free.text.split()
    [until] = engine.generate([prompt(5)], spec, (), until=["never", f" {words[2]}"])
    assert until == Answer(free.ids[:3], " ".join(words[:3]), "stop")
    engine._own_stops = [stop]
    assert engine.generate([prompt(5)], spec, ()) == [stopped]
    assert "".join(engine.stream(prompt(5), spec, ())).split() == stopped.text.split()


def test_ids_are_padded_on_the_left():
    ids, mask = _padded([[5], [6, 7, 8], [9, 10]])
    assert ids.tolist() == [[0, 0, 5], [6, 7, 8], [0, 9, 10]]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1], [0, 1, 1]]
    assert (ids.dtype, mask.dtype) == (torch.long, torch.long)


class Settings:
    def __init__(self, **values):
        self.__dict__.update(values)
        self.config = self

    def get_text_config(self, decoder=False):
        assert decoder
        return self


@pytest.mark.parametrize(
    ("settings", "context"),
    [
        ({"max_position_embeddings": 7, "max_seq_len": 5, "max_target_positions": 3}, 7),
        ({"max_seq_len": 5, "max_target_positions": 3}, 5),
        ({"max_target_positions": 3}, 3),
        ({"max_position_embeddings": None, "max_seq_len": 5}, 5),
        ({"max_position_embeddings": 0, "max_seq_len": 5}, 5),
        ({"max_position_embeddings": -1}, 1 << 30),
        ({"max_position_embeddings": "7"}, 1 << 30),
        ({"max_position_embeddings": 1}, 1),
        ({}, 1 << 30),
    ],
)
def test_the_context_is_the_first_limit_that_the_config_gives(settings, context):
    assert context_of(Settings(**settings)) == context


@pytest.mark.parametrize(
    ("settings", "reach"),
    [
        ({}, 1 << 30),
        ({"index_topk": 200}, 1 << 30),
        ({"index_topk": 201}, 201),
        ({"index_topk": 300, "mem_len": 250}, 250),
        ({"sliding_window": 4096, "attention_chunk_size": 8192}, 1 << 30),
    ],
)
def test_the_reach_of_a_model_ends_at_a_boundary_too_far_to_be_tested(folder, settings, reach):
    model = load_model(folder)
    for name, value in settings.items():
        setattr(model.config, name, value)
    assert reach_of(model) == reach


@pytest.mark.parametrize(
    ("dtype", "allowed"), [(torch.float32, 1e-3), (torch.bfloat16, 0.1), (torch.float16, 0.05), (torch.float64, 0.1)]
)
def test_scores_differ_beyond_the_precision_of_their_dtype(dtype, allowed):
    theirs = torch.tensor([1.0, -1.0, 2.0, -2.0])
    assert not _differ(theirs + 7, theirs, dtype)  # a constant changes no probability
    assert not _differ(theirs * (1 + 0.9 * allowed), theirs, dtype)
    assert _differ(theirs * (1 + 1.1 * allowed), theirs, dtype)
    ruled_out = torch.tensor([1.0, -1.0, 2.0, -torch.inf])
    assert not _differ(ruled_out, ruled_out, dtype)
    assert _differ(theirs, ruled_out, dtype)
    assert _differ(ruled_out, theirs, dtype)


def test_scores_with_one_possible_token_are_fine_and_others_are_refused(model):
    fine = torch.tensor([[0.0, -torch.inf], [1.0, 2.0]])
    refuse_not_finite(model, fine, "token 1")
    for wrong in (torch.nan, torch.inf):
        with pytest.raises(RunError) as caught:
            refuse_not_finite(model, torch.tensor([[0.0, 1.0], [0.0, wrong]]), "token 1")
        assert caught.value.code == "run.not-finite"
        assert "scores for token 1 are NaN or infinite, computed in float32" in caught.value.what
    with pytest.raises(RunError):
        refuse_not_finite(model, torch.full((1, 2), -torch.inf), "token 1")


@pytest.mark.parametrize(("pad", "used"), [(None, 0), (5, 5), ([5, 6], 0)])
def test_plain_generation_is_greedy_and_endless_and_ends(model, pad, used):
    before = GenerationConfig(do_sample=True, temperature=0.5, eos_token_id=3)
    before.pad_token_id = pad
    model.generation_config = before
    with plain_generation(model):
        within = model.generation_config
        assert (within.pad_token_id, within.eos_token_id, bool(within.do_sample)) == (used, None, False)
    assert model.generation_config is before
    with pytest.raises(KeyError), plain_generation(model):
        raise KeyError
    assert model.generation_config is before


@torch.no_grad()
def whole_text(model, ids):
    """The scores after each token of one row, from one pass over the whole text."""
    return model(torch.tensor([ids]), use_cache=False).logits[0].float()


@pytest.mark.parametrize("kind", [PlainSteps, ModelSteps])
@pytest.mark.parametrize("lengths", [(6, 6), (6, 3, 1)])
def test_steps_give_the_scores_of_the_whole_text(model, kind, lengths):
    rows = [prompt(length, seed) for seed, length in enumerate(lengths)]
    steps = kind(model, *_padded(rows))
    assert steps.leaving is (kind is PlainSteps)
    chosen = None
    for step in range(4):
        found = steps.logits(chosen)
        assert found.dtype == torch.float32
        expected = torch.stack([whole_text(model, row)[-1] for row in rows])
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        if kind is PlainSteps and step == 1:
            steps.keep(torch.tensor([1]))
            rows, found = rows[1:2], found[1:2]
        chosen = found.argmax(-1)
        rows = [[*row, token] for row, token in zip(rows, chosen.tolist(), strict=True)]


def test_rows_with_a_cache_of_the_models_own_cannot_leave(model):
    with pytest.raises(NotImplementedError):
        ModelSteps(model, *_padded([prompt(3)])).keep(torch.tensor([0]))


@pytest.mark.parametrize(
    ("boundary", "context", "lengths"),
    [
        ({}, 512, [24, 4]),
        ({}, 28, [24, 4]),
        ({}, 27, [23, 4]),
        ({}, 6, [2, 1]),
        ({"index_topk": 16}, 512, [28, 4, 22]),
        ({"index_topk": 10}, 512, [24, 4, 18]),
        ({"index_topk": 200}, 512, [212, 4, 206]),
        ({"index_topk": 201}, 512, [24, 4]),
        ({"index_topk": 16}, 20, [16, 4, 15]),
    ],
)
def test_the_prompts_of_the_question_pass_each_near_boundary(model, boundary, context, lengths):
    model.config.max_position_embeddings = context
    for name, value in boundary.items():
        setattr(model.config, name, value)
    question = _Question(model)
    assert question._prompts == [row.tolist() for row in random_ids(model.config, lengths)]
    assert [len(tokens) for tokens, _ in question._answers] == [2] + [4] * (len(lengths) - 1)
    assert [question.objection(way) for way in WAYS] == [""] * 5


def test_a_context_without_room_for_two_prompts_is_refused(model):
    model.config.max_position_embeddings = 5
    with pytest.raises(ModelError, match="its context of 5 tokens has no room for an answer"):
        _Question(model)


@pytest.mark.parametrize(
    ("way", "what"),
    [(WAYS[0], "next to a longer one"), (WAYS[2], "in a batch"), (WAYS[4], "alone")],
)
def test_an_objection_names_the_token_and_the_batch(model, way, what):
    question = _Question(model)
    for row, step in ((1, 0), (1, 3)):
        question._answers[row][1][step] *= -1
        assert question.objection(way) == f"token {step + 1} after a prompt {what} has other scores than in generate"
        question._answers[row][1][step] *= -1
    assert question.objection(way) == ""
    question._answers = None
    assert question.objection(way).startswith("TypeError: ")


def test_the_first_prompt_leaves_after_two_tokens(model, monkeypatch):
    kept = []
    keep = PlainSteps.keep
    monkeypatch.setattr(PlainSteps, "keep", lambda steps, rows: (kept.append(rows.tolist()), keep(steps, rows)))
    model.config.index_topk = 16
    question = _Question(model)
    assert question.objection(WAYS[0]) == ""
    assert kept == [[1, 2]]
    assert question.objection(WAYS[2]) == ""
    assert kept == [[1, 2], [1]]
    monkeypatch.setattr(DynamicCache, "reorder_cache", lambda cache, rows: cache.batch_select_indices(rows - 1))
    assert (
        question.objection(WAYS[0]) == "token 3 after a prompt next to a longer one has other scores than in generate"
    )
