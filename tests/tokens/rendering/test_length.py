"""Rows that are longer than max_length."""

from typing import Any

import pytest

from burnish.core.errors import DataError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.chatml import CHATML

TURNS = [
    {"role": role, "content": text * 10} for _ in range(4) for role, text in (("user", "ab"), ("assistant", "xyz"))
]


@pytest.fixture
def make(toy_tokenizer):
    def renderer(template: str = CHATML, **settings: Any) -> Renderer:
        return Renderer(toy_tokenizer(template), RenderSpec(**{"max_length": 4096, **settings}))

    return renderer


LONG = {"kind": "chat", "source": "rows.jsonl:7", "messages": TURNS}


def test_a_row_that_is_too_long_is_an_error_with_its_length(make):
    length = len(make().render(LONG)[0])
    with pytest.raises(DataError, match=rf"rows.jsonl:7.*{length} tokens.*64") as caught:
        make(max_length=64).render(LONG)
    assert caught.value.code == "data.too-long"


def test_a_row_that_is_too_long_is_dropped_or_truncated_and_counted(make):
    renderer = make(max_length=64, over_length="drop")
    assert renderer.render(LONG) == []
    assert renderer.counts["dropped"] == 1

    renderer = make(max_length=64, over_length="truncate_left")
    (cut,) = renderer.render(LONG)
    (whole,) = make().render(LONG)
    assert cut.ids.tolist() == whole.ids[-64:].tolist()
    assert cut.weights[1:].tolist() == whole.weights[-63:].tolist()
    assert whole.text.endswith(cut.text)
    assert renderer.counts["truncated"] == 1


@pytest.mark.parametrize("with_bos", [False, True])
@pytest.mark.parametrize("length", [8, 33, 64])
def test_a_row_that_is_split_learns_every_token_once(make, length, with_bos):
    template = ("{{ bos_token }}" if with_bos else "") + CHATML
    (whole,) = make(template).render(LONG)
    renderer = make(template, max_length=length, over_length="split")
    pieces = renderer.render(LONG)
    assert all(len(piece) <= length and piece.weights[0] == 0.0 for piece in pieces)
    spoken = [int(t) for piece in pieces for t, weight in zip(piece.ids, piece.weights, strict=True) if weight]
    assert spoken == whole.ids[whole.weights > 0].tolist()
    assert renderer.counts["split"] == 1
    assert renderer.counts["pieces"] == len(pieces)
    if with_bos:
        assert {int(piece.ids[0]) for piece in pieces} == {renderer.tokenizer.bos_token_id}


@pytest.mark.parametrize("length", [8, 33, 64])
def test_a_row_truncated_on_the_left_keeps_its_bos(make, length):
    """In pretraining every text starts with that token; without it the first tokens have an unusual context."""
    template = "{{ bos_token }}" + CHATML
    (whole,) = make(template).render(LONG)
    renderer = make(template, max_length=length, over_length="truncate_left")
    (cut,) = renderer.render(LONG)
    assert cut.ids.tolist() == [renderer.tokenizer.bos_token_id, *whole.ids[1 - length :].tolist()]
    assert cut.weights.tolist() == [0.0, *whole.weights[1 - length :].tolist()]
    assert cut.text.startswith("<bos>")
    assert whole.text.endswith(cut.text.removeprefix("<bos>"))


@pytest.mark.parametrize("over_length", ["raise", "drop", "truncate_left", "split"])
def test_a_row_of_exactly_max_length_is_unchanged(make, over_length):
    (whole,) = make().render(LONG)
    renderer = make(max_length=len(whole), over_length=over_length)
    (kept,) = renderer.render(LONG)
    assert kept.ids.tolist() == whole.ids.tolist()
    assert kept.weights.tolist() == whole.weights.tolist()
    assert +renderer.counts == {"rows": 1, "turns": 4}


def test_the_pieces_of_a_split_row_keep_the_weights_of_its_turns(make):
    turns = [
        turn | ({"weight": weight} if weight else {}) for turn, weight in zip(TURNS, [0, 0.5, 0, 2] * 2, strict=True)
    ]
    (whole,) = make().render({**LONG, "messages": turns})
    pieces = make(max_length=33, over_length="split").render({**LONG, "messages": turns})
    assert [weight for piece in pieces for weight in piece.weights.tolist() if weight] == [
        weight for weight in whole.weights.tolist() if weight
    ]
    assert {0.5, 2.0} == {weight for weight in whole.weights.tolist() if weight}


def test_a_tokenizer_that_was_saved_with_truncation_or_padding_gives_every_token(toy_tokenizer):
    plain = Renderer(toy_tokenizer(CHATML), RenderSpec(max_length=4096)).render(LONG)[0]
    tokenizer = toy_tokenizer(CHATML)
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.backend_tokenizer.enable_padding(length=2000)
    found = Renderer(tokenizer, RenderSpec(max_length=4096)).render(LONG)[0]
    assert found.ids.tolist() == plain.ids.tolist()
    assert found.weights.tolist() == plain.weights.tolist()


@pytest.mark.parametrize(
    ("kind", "content", "purpose"),
    [
        ("prompt", {}, "generation"),
        ("label", {"completion": TURNS[1:2], "label": True}, "good and bad answers"),
        ("preference", {"chosen": TURNS[1:2], "rejected": TURNS[3:4]}, "preference training"),
    ],
)
def test_rows_of_other_kinds_are_refused_with_what_they_are_for(make, kind, content, purpose):
    row = {"kind": kind, "source": "rows.jsonl:7", "messages": TURNS[:1], **content}
    with pytest.raises(DataError, match=purpose) as caught:
        make().render(row)
    assert caught.value.code == "data.unknown-format"
