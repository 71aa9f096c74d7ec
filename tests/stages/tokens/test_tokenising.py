"""Rows are rendered once: by one process or several to the same tokens, and never reused when anything differs."""

import json
import shutil

import numpy as np
import pytest
from filelock import FileLock

from burnish.core import processes
from burnish.core.errors import DataError, RunError
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.data.dataset import open_rows
from burnish.data.document import answers_of
from burnish.specs.data import PrepareSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.data import prepare
from burnish.stages.tokens import tokenising
from burnish.stages.tokens.rendering import LABELS, PAIRS, RowRenderer
from burnish.stages.tokens.tokenising import origin_of, tokenised_split
from burnish.testing import input_at, temporary_context, tiny_tokenizer
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.tokenised import TokenisedRows, open_rendering


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(tiny_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def row(number):
    asked = {"role": "user", "content": f"Say {number} " * (number % 7 + 1)}
    weight = {} if number % 3 == 0 else {"weight": 0.25 * (number % 3)}
    return {"messages": [asked, {"role": "assistant", "content": "abcdefg"[: number % 7] + "h", **weight}]}


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row(number)) + "\n" for number in range(300)))
    return path


def rendering(tokenizer, data, folder, **settings):
    """(rendering, renderer, the texts of its notes), in the workspace of `folder`."""
    context, events = temporary_context(folder)
    renderer = RowRenderer(tokenizer, RenderSpec(**settings))
    found = tokenised_split(renderer, input_at(data), "train", context)
    return found, renderer, [event.text for event in events if event.kind == "note"]


def plain(tokenizer, data, split="train", **settings) -> tuple[TokenisedRows, dict]:
    """The plain twin: one renderer, one row after another, all in memory."""
    renderer = Renderer(tokenizer, RenderSpec(**settings))
    rows = []
    for item in open_rows(input_at(data), split):
        pieces = renderer.render(item)
        for number, piece in enumerate(pieces, start=1):
            if piece.learned:
                name = item["id"] if len(pieces) == 1 else f"{item['id']}#{number}"
                rows.append((name, piece.ids, piece.weights))
    return TokenisedRows.of(rows), dict(renderer.counts)


@pytest.mark.parametrize("settings", [{}, {"max_length": 40, "over_length": "split"}, {"train_on": "all"}], ids=str)
def test_a_rendering_is_what_one_renderer_gives_row_by_row(tokenizer, data, tmp_path, settings):
    found, renderer, _ = rendering(tokenizer, data, tmp_path, **settings)
    rows, counts = plain(tokenizer, data, **settings)
    assert found.rows.digest() == rows.digest()
    assert +renderer.counts == {name: count for name, count in counts.items() if count}


def test_several_processes_give_the_tokens_and_counts_of_one(tokenizer, data, tmp_path, monkeypatch):
    settings = {"max_length": 40, "over_length": "split"}
    together = map_at_once(monkeypatch)
    found, renderer, _ = rendering(tokenizer, data, tmp_path, **settings)
    rows, counts = plain(tokenizer, data, **settings)
    assert together == [2]
    assert found.rows.digest() == rows.digest()
    assert +renderer.counts == {name: count for name, count in counts.items() if count}


def map_at_once(monkeypatch) -> list[int]:
    """Let child processes start with the second chunk; the list says with how many."""
    started = []

    def in_children(make, chunks, count):
        started.append(count)
        return original(make, chunks, count)

    original = processes._map_in_children
    monkeypatch.setattr(processes, "_map_in_children", in_children)
    monkeypatch.setattr(processes.map_in_order, "__defaults__", (0.0,))
    monkeypatch.setattr("burnish.stages.tokens.rendering.usable_cores", lambda: 2)
    return started


def test_a_second_training_maps_what_the_first_rendered(tokenizer, data, tmp_path, monkeypatch):
    first, renderer, notes = rendering(tokenizer, data, tmp_path)
    counts = dict(renderer.counts)
    assert not any("cached tokens" in note for note in notes)
    monkeypatch.setattr(RowRenderer, "stream", None)  # rendering again would fail
    second, renderer, notes = rendering(tokenizer, data, tmp_path)
    assert any("cached tokens" in note for note in notes)
    assert second.rows.digest() == first.rows.digest()
    assert +renderer.counts == {name: count for name, count in counts.items() if count}


def test_a_reused_rendering_still_names_the_columns_that_nothing_maps(tokenizer, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({**row(number), "mood": "good"}) + "\n" for number in range(9)))
    for _ in range(2):
        _, _, notes = rendering(tokenizer, path, tmp_path)
        assert any("mood" in note for note in notes)


def test_settings_that_took_effect_count_as_read_when_a_rendering_is_reused(tokenizer, data, tmp_path):
    for attempt in ("first", "second"):
        spec = RenderSpec(max_length=100, over_length="drop", train_on="completion")
        context, _ = temporary_context(tmp_path)
        with ConsumptionLedger(spec) as ledger:
            tokenised_split(RowRenderer(load(tokenizer), spec), input_at(data), "train", context)
            assert ledger.unread() == [], attempt


def load(tokenizer):
    """The same tokenizer as another object, as another process has it."""
    import copy

    return copy.deepcopy(tokenizer)


def test_a_setting_without_effect_stays_unread_when_a_rendering_is_reused(tokenizer, tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"A text of number {number}."}) + "\n" for number in range(20)))
    for _ in range(2):
        spec = RenderSpec(train_on="completion")
        context, _ = temporary_context(tmp_path)
        with ConsumptionLedger(spec) as ledger:
            tokenised_split(RowRenderer(tokenizer, spec), input_at(path), "train", context)
            assert ledger.unread() == ["train_on"]


def test_another_row_setting_template_or_tokenizer_has_another_origin(tokenizer, data, tmp_path):
    def origin(spec=None, tokenizer=tokenizer):
        return origin_of(RowRenderer(tokenizer, spec or RenderSpec()), input_at(data), "train")

    other = load_tokenizer(tiny_tokenizer(tmp_path / "other", chat_template="{{ messages[0].content }}"))
    longer = load(tokenizer)
    longer.add_tokens(["<new>"])
    origins = {
        origin(),
        origin(RenderSpec(max_length=100)),
        origin(RenderSpec(train_on="all")),
        origin(tokenizer=other),
        origin(tokenizer=longer),
    }
    data.write_text(data.read_text().replace("Say 7", "Say 8", 1))
    origins.add(origin())
    assert len(origins) == 6


def test_any_damage_of_a_rendering_is_found_and_it_is_made_again(tokenizer, data, tmp_path):
    good, _, _ = rendering(tokenizer, data, tmp_path)
    [folder] = [path.parent for path in tmp_path.rglob("rendering.json")]
    origin = json.loads((folder / "rendering.json").read_text())["origin"]
    digest = good.rows.digest()
    damages = [flipped, truncated, emptied, deleted]
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 6
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    for name in names:
        for damage in damages:
            shutil.rmtree(folder)
            shutil.copytree(kept, folder)
            assert open_rendering(folder, origin) is not None
            damage(folder / name)
            assert open_rendering(folder, origin) is None, f"{damage.__name__} {name}"
    again, _, notes = rendering(tokenizer, data, tmp_path)
    assert again.rows.digest() == digest
    assert not any("cached tokens" in note for note in notes)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path):
    path.write_bytes(b"")


def deleted(path):
    path.unlink()


def test_a_stopped_rendering_leaves_nothing_that_looks_whole(tokenizer, data, tmp_path):
    context, _ = temporary_context(tmp_path, stopping=lambda: True)
    with pytest.raises(RunError, match="tokenised"):
        tokenised_split(RowRenderer(tokenizer, RenderSpec()), input_at(data), "train", context)
    assert [path.name for path in (tmp_path / "cache" / "rendered").iterdir() if path.is_dir()] == []


def test_rows_that_are_edited_while_they_are_rendered_leave_no_rendering(tokenizer, data, tmp_path):
    """The edit may be undone later: what it became must not be found then under the name of the first content."""
    before = data.read_text()

    def edit() -> bool:
        data.write_text(before.replace("Say", "Ask"))
        return False

    context, _ = temporary_context(tmp_path, stopping=edit)
    with pytest.raises(RunError) as caught:
        tokenised_split(RowRenderer(tokenizer, RenderSpec()), input_at(data), "train", context)
    assert caught.value.code == "run.input-changed"
    data.write_text(before)
    again, _, notes = rendering(tokenizer, data, tmp_path)
    assert not any("cached tokens" in note for note in notes)
    assert again.rows.digest() == plain(tokenizer, data)[0].digest()


def test_what_killed_processes_leave_in_the_cache_is_removed_unless_somebody_is_at_it(tokenizer, data, tmp_path):
    shelf = tmp_path / "cache" / "rendered"
    for name in ("abandoned.partial", "in-progress.partial"):
        (shelf / name).mkdir(parents=True)
        (shelf / name / "ids.bin").write_bytes(b"1234")
    with FileLock(shelf / "in-progress.lock"):
        rendering(tokenizer, data, tmp_path)
        assert [path.name for path in shelf.glob("*.partial")] == ["in-progress.partial"]


def test_a_row_that_nobody_learns_from_is_named_by_its_source(tokenizer, tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [row(1), {"prompt": "a", "chosen": "b", "rejected": "c"}]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows[1:]))
    context, _ = temporary_context(tmp_path)
    with pytest.raises(DataError, match=r"rows\.jsonl:1"):
        tokenised_split(RowRenderer(tokenizer, RenderSpec()), input_at(path), "train", context)


def test_the_first_rows_of_a_rendering_are_those_of_the_first_rows_of_the_data(tokenizer, data, tmp_path):
    settings = {"max_length": 40, "over_length": "split"}
    found, _, _ = rendering(tokenizer, data, tmp_path, **settings)
    short = tmp_path / "short.jsonl"
    short.write_text("".join(data.read_text().splitlines(keepends=True)[:50]))
    first, _ = plain(tokenizer, short, **settings)
    part = found.of_first(50)
    assert np.array_equal(part.ids, first.ids)
    assert np.array_equal(part.weights, first.weights)
    assert np.array_equal(part.offsets, first.offsets)
    assert found.of_first(10_000).digest() == found.rows.digest()


def test_old_renderings_make_room_for_new_ones(tokenizer, data, tmp_path, monkeypatch):
    monkeypatch.setattr(tokenising, "_MAX_CACHE_BYTES", 1)
    for length in (60, 70, 80):
        found, _, _ = rendering(tokenizer, data, tmp_path, max_length=length, over_length="drop")
        assert len(found.rows) == len(found.rows.lengths)
    assert len(list(tmp_path.rglob("rendering.json"))) == 1


@pytest.mark.parametrize(
    ("over_length", "processes"),
    [("split", 1), ("drop", 1), ("truncate_left", 1), ("split", 2)]
    + [pytest.param(name, 2, marks=pytest.mark.torture) for name in ("drop", "truncate_left")],  # 4 s of a core each
)
def test_what_prepare_renders_is_what_a_training_maps(tmp_path, over_length, processes, monkeypatch):
    """Multi-turn rows wait for their split, so that rows are written in another order than they are read."""
    tokenizer_folder = tiny_tokenizer(tmp_path / "tokenizer")
    tokenizer = load_tokenizer(tokenizer_folder)
    path = tmp_path / "rows.jsonl"
    rows = [row(number) for number in range(200)]
    for number in range(0, 200, 3):
        rows[number]["messages"] += row(number % 50)["messages"]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    if processes == 2:
        map_at_once(monkeypatch)
    render = {"max_length": 60, "over_length": over_length}
    spec = PrepareSpec(
        source="file:x", tokenizer="file:t", render=render, split={"validation": 0.2, "test": 0.1, "seed": 3}
    )
    context, _ = temporary_context(tmp_path, {"source": path, "tokenizer": tokenizer_folder})
    prepare.run(spec, context)
    monkeypatch.setattr(RowRenderer, "stream", None)  # a training that renders again would fail
    for split in ("train", "validation", "test"):
        renderer = RowRenderer(tokenizer, RenderSpec(**render))
        found = tokenised_split(renderer, input_at(context.out), split, temporary_context(tmp_path)[0])
        rows, counts = plain(tokenizer, context.out, split, **render)
        assert len(rows) > 5
        assert found.rows.digest() == rows.digest()
        assert +renderer.counts == {name: count for name, count in counts.items() if count}


def pair(number):
    """Of some pairs the first answer is longer than 60 tokens, of some the second, of some both."""
    too_long = {1: (90, 0), 2: (0, 90), 3: (90, 80)}.get(number % 5, (0, 0))
    chosen, rejected = (letter * (more + number % 7 + 1) for letter, more in zip("bc", too_long, strict=True))
    return {"prompt": f"Ask {number} " * (number % 4 + 1), "chosen": chosen, "rejected": rejected}


def labelled(number):
    return {"prompt": f"Ask {number}", "completion": "b" * (number % 90 + 1), "label": number % 3 == 0}


def plain_answers(tokenizer, data, layout, split, **settings):
    """The plain twin: a row is the sequences of all its answers, or nothing."""
    renderer = Renderer(tokenizer, RenderSpec(**settings))
    groups, values = [], {name: [] for name in layout.values}
    for item in open_rows(input_at(data), split):
        found = renderer.render_answers(item, answers_of(item))
        if found:
            groups.append((item["id"], [(piece.ids, piece.weights) for piece in found]))
            for name, numbers in values.items():
                numbers.append(item[name])
    arrays = {name: np.array(numbers, np.float32) for name, numbers in values.items()}
    return TokenisedRows.of_groups(groups, layout.width, arrays)


@pytest.mark.parametrize("over_length", ["drop", "truncate_left"])
@pytest.mark.parametrize(("layout", "example"), [(PAIRS, pair), (LABELS, labelled)], ids=["pairs", "labels"])
def test_prepared_answers_are_measured_and_leave_the_rendering_of_a_training(
    tokenizer, tmp_path, monkeypatch, layout, example, over_length
):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(example(number)) + "\n" for number in range(120)))
    tokenizer_folder, render = tiny_tokenizer(tmp_path / "tokenizer"), {"max_length": 60, "over_length": over_length}
    context, _ = temporary_context(tmp_path / "a", {"source": path, "tokenizer": tokenizer_folder})
    spec = PrepareSpec(source="file:x", tokenizer="file:t", render=render, split={"validation": 0.2, "seed": 3})
    outcome = prepare.run(spec, context)
    assert outcome.measures["tokens"] > 0
    fresh, again = temporary_context(tmp_path / "b")[0], temporary_context(tmp_path / "a")[0]
    for split in ("train", "validation"):
        first, second = (RowRenderer(tokenizer, RenderSpec(**render)) for _ in range(2))
        rendered = tokenised_split(first, input_at(context.out), split, fresh, layout=layout)
        with monkeypatch.context() as patch:
            patch.setattr(RowRenderer, "stream", None)  # a training that renders again would fail
            kept = tokenised_split(second, input_at(context.out), split, again, layout=layout)
        expected = plain_answers(tokenizer, context.out, layout, split, **render)
        assert len(expected) > 5
        assert (expected.width, set(expected.values)) == (layout.width, set(layout.values))
        assert kept.rows.digest() == rendered.rows.digest() == expected.digest()
        assert kept.ordinals.tolist() == rendered.ordinals.tolist()
        assert +first.counts == +second.counts
        assert first.counts["rows"] == len(list(open_rows(input_at(context.out), split)))
