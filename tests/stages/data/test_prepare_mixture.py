"""A mixture is exact, follows content and not order, repeats only training rows, and accounts for every row."""

import json
import random
from collections import Counter

import pytest
from pydantic import ValidationError

from burnish.core.context import Input
from burnish.core.errors import DataError, RunError
from burnish.core.fingerprint import of_step
from burnish.data.dataset import read_counted, read_rows
from burnish.specs.data import LanguageSpec, MixtureSpec, PrepareSpec, SourceSpec, SplitSpec
from burnish.stages.data import mixing
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context, tiny_tokenizer

SIZES = {"a": 60, "b": 25, "c": 5}


def lines_of(name: str, size: int) -> list[str]:
    return [
        json.dumps({"question": f"{name} asks {i}?", "answer": f"{name} {i} " + "so " * (i % 7)}) for i in range(size)
    ]


@pytest.fixture
def mix(tmp_path):
    """Prepare a mixture of files a, b and c; gives (rows by split, stats, events)."""

    def mix(order: int | None = None, weights=(1, 1, 1), contents=None, folder="run", stopping=None, **settings):
        inputs, sources = {}, []
        for number, (name, weight) in enumerate(zip(SIZES, weights, strict=True)):
            lines = contents[name] if contents else lines_of(name, SIZES[name])
            if order is not None:
                random.Random(order).shuffle(lines)
            path = tmp_path / f"{name}.jsonl"
            path.write_text("".join(line + "\n" for line in lines))
            inputs[f"source.{number}.ref"] = Input(f"file:{name}.jsonl", "file", path)
            sources.append(SourceSpec(ref=f"file:{name}.jsonl", weight=weight))
        if settings.get("tokenizer"):
            inputs["tokenizer"] = settings["tokenizer"]
            settings["tokenizer"] = "file:tokenizer"
        context, events = temporary_context(tmp_path / folder, inputs, **({"stopping": stopping} if stopping else {}))
        run(PrepareSpec(source=sources, **settings), context)
        stats = json.loads((context.out / "stats.json").read_text())
        rows = {split: list(read_counted(context.out, split)) for split, count in stats["splits"].items() if count}
        return rows, stats, events

    return mix


def turn(role: str, content: str) -> dict:
    return {"role": role, "content": content}


def counted(rows: list) -> Counter:
    return Counter(row["source"].partition(".")[0] for row, _ in rows)


def ids(rows: list) -> Counter:
    return Counter(row["id"] for row, _ in rows)


def accounts_balance(stats: dict) -> None:
    assert stats["read"] == stats["kept"] + stats["quarantined"] + sum(stats["dropped"].values())
    assert sum(stats["splits"].values()) == stats["kept"] + stats.get("repeated", 0)


def test_rows_are_drawn_by_weight_and_the_others_are_counted(mix):
    rows, stats, events = mix(weights=(3, 1, 1), mixture=MixtureSpec(rows=25))
    assert counted(rows["train"]) == {"a": 15, "b": 5, "c": 5}
    assert stats["dropped"] == {"beyond the mixture": 65}
    accounts_balance(stats)
    found = stats["mixture"]["sources"]["file:a.jsonl"]
    assert found == {
        "weight": 3.0,
        "share": 0.6,
        "asked": 15,
        "available": {"rows": 60},
        "taken": {"rows": 15},
        "repeated": {"rows": 0},
        "taken_share": 0.6,
    }
    (table,) = [event for event in events if event.kind == "table" and event.title.startswith("Mixture")]
    assert table.rows[0] == ["file:a.jsonl", "15", "60", "15", "0", "60.0%", "60.0%"]
    assert not [event for event in events if event.kind == "note" and event.level == "warning"]


def test_what_is_drawn_follows_content_and_seed_and_not_the_order_of_a_file(mix):
    first, *others = (
        ids(mix(order, folder=f"run-{order}-{seed}", mixture=MixtureSpec(rows=30, seed=seed))[0]["train"])
        for order, seed in ((None, 0), (1, 0), (2, 0), (None, 1))
    )
    assert others[:2] == [first, first]
    assert others[2] != first


def test_a_smaller_mixture_is_part_of_a_larger_one(mix):
    small, large = (ids(mix(folder=f"run-{n}", mixture=MixtureSpec(rows=n))[0]["train"]) for n in (6, 15))
    assert small < large


def test_without_a_budget_the_source_that_is_short_gives_all_and_shares_are_kept(mix):
    rows, stats, _ = mix(weights=(2, 1, 1), mixture=MixtureSpec())
    assert counted(rows["train"]) == {"a": 10, "b": 5, "c": 5}
    assert stats["mixture"]["asked"] == 20


def test_a_temperature_of_one_is_by_size_and_a_large_one_is_even(mix):
    by_size, even = (
        counted(mix(folder=f"run-{t}", weights=(None,) * 3, mixture=MixtureSpec(rows=18, temperature=t))[0]["train"])
        for t in (1, 1e9)
    )
    assert by_size == {"a": 12, "b": 5, "c": 1}
    assert even == {"a": 6, "b": 6, "c": 5}  # c has no more


def test_a_source_that_is_too_small_is_reported_and_not_filled_from_others(mix):
    rows, stats, events = mix(mixture=MixtureSpec(rows=30))
    assert counted(rows["train"]) == {"a": 10, "b": 10, "c": 5}
    assert (stats["mixture"]["asked"], stats["mixture"]["taken"]) == (30, 25)
    (warning,) = (event.text for event in events if event.kind == "note" and event.level == "warning")
    assert "file:c.jsonl gives 5 of 10 rows, all that it has, once each: set mixture.repeat: true" in warning


def test_training_rows_are_repeated_held_out_ones_are_not_and_nothing_leaks(mix):
    split = SplitSpec(validation=0.2, test=0.2, seed=1)
    rows, stats, _ = mix(mixture=MixtureSpec(rows=120, repeat=True, max_epochs=60), split=split)
    total = sum((counted(rows[split]) for split in rows), Counter())
    assert total == {"a": 40, "b": 40, "c": 40}
    assert max(ids(rows["validation"]).values()) == max(ids(rows["test"]).values()) == 1
    assert not ids(rows["train"]).keys() & (ids(rows["validation"]) | ids(rows["test"])).keys()
    assert stats["leaks"] == 0
    accounts_balance(stats)
    assert stats["repeated"] == sum(found["repeated"]["rows"] for found in stats["mixture"]["sources"].values()) > 0
    assert stats["characters"]["count"] == 120
    times = Counter(ids([item for item in rows["train"] if item[0]["source"].startswith("c")]).values())
    assert max(times) - min(times) <= 1


def test_rows_are_repeated_at_most_max_epochs_times_and_the_rest_is_reported(mix):
    rows, _, events = mix(mixture=MixtureSpec(rows=90, repeat=True))
    assert counted(rows["train"]) == {"a": 30, "b": 30, "c": 20}
    assert set(ids([item for item in rows["train"] if item[0]["source"].startswith("c")]).values()) == {4}
    (warning,) = (event.text for event in events if event.kind == "note" and event.level == "warning")
    assert "file:c.jsonl gives 20 of 30 rows, all that it has, its training rows 4 times each" in warning
    assert "raise mixture.max_epochs" in warning


def test_copies_are_in_epochs_and_not_beside_each_other(mix):
    rows, _, _ = mix(mixture=MixtureSpec(rows=60, repeat=True))
    names = [row["id"] for row, _ in rows["train"] if row["source"].startswith("c")]
    assert len(set(names[:5])) == 5
    assert names == names[:5] * 4


def test_tokens_are_drawn_up_to_the_budget_and_as_near_as_rows_allow(mix, tmp_path):
    tokenizer = tiny_tokenizer(tmp_path / "tokenizer")
    rows, stats, _ = mix(weights=(2, 1, 1), mixture=MixtureSpec(tokens=600), tokenizer=tokenizer)
    total = Counter()
    for row, counts in rows["train"]:
        total[row["source"][0]] += counts["tokens"]
    longest = max(counts["tokens"] for _, counts in rows["train"])
    for name, asked in (("a", 300), ("b", 150)):
        found = stats["mixture"]["sources"][f"file:{name}.jsonl"]
        assert found["asked"] == asked
        assert found["taken"]["tokens"] == total[name]
        assert asked - longest <= total[name] <= asked
    assert stats["tokens"]["total"] == sum(total.values()) == stats["mixture"]["taken"]
    accounts_balance(stats)


def test_tokens_of_repeated_rows_are_kept_for_the_training(mix, tmp_path):
    tokenizer = tiny_tokenizer(tmp_path / "tokenizer")
    mixture = MixtureSpec(tokens=1500, repeat=True, max_epochs=20)
    rows, stats, _ = mix(mixture=mixture, tokenizer=tokenizer, split=SplitSpec(validation=0.1))
    total = Counter()
    for row, counts in (item for split in rows.values() for item in split):
        total[row["source"][0]] += counts["tokens"]
    assert all(440 <= tokens <= 500 for tokens in total.values())
    (record,) = [
        json.loads(path.read_text())
        for path in (tmp_path / "run/cache/rendered").glob("*/rendering.json")
        if json.loads(path.read_text())["counts"]["rows"] == stats["splits"]["train"]
    ]
    assert stats["repeated"] > 0
    assert record


def test_rows_that_filters_drop_are_not_available_and_equal_rows_are_drawn_once(mix):
    contents = {name: lines_of(name, size) for name, size in SIZES.items()}
    contents["b"] = contents["b"][:4] * 5
    rows, stats, _ = mix(contents=contents, deduplicate=True, mixture=MixtureSpec(rows=9))
    assert stats["mixture"]["sources"]["file:b.jsonl"]["available"] == {"rows": 4}
    assert stats["dropped"]["duplicate"] == 16
    assert max(ids(rows["train"]).values()) == 1
    accounts_balance(stats)


def test_rows_that_wait_for_their_split_are_drawn_and_repeated_too(mix):
    turns = [turn("user", "Hi"), turn("assistant", "Hello") | {"weight": 0}]

    def row(name: str, i: int) -> str:
        return json.dumps({"messages": [*turns, turn("user", f"{name} {i}"), turn("assistant", "x")]})

    contents = {name: [row(name, i) for i in range(size)] for name, size in SIZES.items()}
    rows, stats, _ = mix(contents=contents, mixture=MixtureSpec(rows=60, repeat=True), split=SplitSpec(test=0.3))
    assert sum((counted(rows[split]) for split in rows), Counter())["c"] > 5
    assert max(ids(rows["test"]).values()) == 1
    accounts_balance(stats)


def test_an_empty_source_leaves_no_mixture_without_a_budget(mix):
    contents = {name: lines_of(name, size) for name, size in SIZES.items()} | {
        "c": [json.dumps({"question": "", "answer": ""})]
    }
    with pytest.raises(DataError) as caught:
        mix(contents=contents, mixture=MixtureSpec(), max_bad_share=0.5)
    assert caught.value.code == "data.empty"
    assert "file:c.jsonl has 0 rows left" in caught.value.what


def test_where_no_row_is_left_the_reasons_are_reported(mix):
    with pytest.raises(DataError, match="none of 90 rows is left"):
        mix(mixture=MixtureSpec(), languages=LanguageSpec(keep=["zh"], min_probability=1.0))


def test_a_stop_is_heard_while_rows_are_drawn(mix, monkeypatch):
    monkeypatch.setattr(mixing, "_ROWS_BETWEEN_CHECKS", 1)
    with pytest.raises(RunError, match="while rows were drawn"):
        mix(mixture=MixtureSpec(rows=5), stopping=lambda: True)


MIXED = [{"ref": "file:a"}, {"ref": "file:b"}]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"source": "file:a", "mixture": {"rows": 1}}, "mixture needs a list of sources"),
        ({"source": [{"ref": "file:a", "weight": 2}]}, "weight has no effect without a mixture"),
        ({"source": MIXED, "mixture": {"tokens": 1}}, "mixture.tokens needs a tokenizer"),
        ({"source": MIXED, "mixture": {"tokens": 1, "rows": 1}}, "set one of them"),
        ({"source": MIXED, "mixture": {"repeat": True}}, "repeat needs a number to reach"),
        ({"source": MIXED, "mixture": {"rows": 1, "max_epochs": 2}}, "set repeat: true"),
        ({"source": [{"ref": "file:a", "weight": 0}], "mixture": {}}, "greater than 0"),
        ({"source": MIXED, "mixture": {"temperature": 0}}, "greater than 0"),
    ],
)
def test_settings_without_sense_are_refused(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        PrepareSpec.model_validate(settings)


def test_a_recipe_without_a_mixture_has_the_fingerprint_it_always_had():
    inputs = {"source.0.ref": "x", "source.1.ref": "y"}
    old = of_step("prepare", 3, PrepareSpec.model_validate({"source": MIXED}), inputs)
    assert old == "758e18bb9832ddc0de2d29709371029065c9cf3525002736ae5c5ca5b31330bb"
    new = PrepareSpec.model_validate({"source": MIXED, "mixture": {"rows": 5}})
    assert of_step("prepare", 3, new, inputs) != old


def test_rows_of_prepared_datasets_keep_their_splits_in_a_mixture(mix, tmp_path):
    mix(mixture=MixtureSpec(), split=SplitSpec(test=0.4))
    first = tmp_path / "run/out"
    held_out = {row["id"] for row in read_rows(first, "test")}
    context, _ = temporary_context(tmp_path / "again", {"source.0.ref": first, "source.1.ref": tmp_path / "a.jsonl"})
    sources = [SourceSpec(ref="step:first"), SourceSpec(ref="file:a.jsonl")]
    run(PrepareSpec(source=sources, mixture=MixtureSpec(rows=60, repeat=True)), context)
    again = Counter(row["id"] for row in read_rows(context.out, "test"))
    assert again.keys() == held_out
    assert set(again.values()) == {1}
