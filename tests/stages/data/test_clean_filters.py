"""clean with filters and rewritings: what each drops and changes is counted, also in worker processes."""

import json

import pytest

from burnish.data.reader import read
from burnish.data.record import ReadReport
from burnish.specs.base import watch
from burnish.specs.data import CleanSpec
from burnish.stages.data.clean import run
from burnish.testing import temporary_context

GOOD = "The river rises in the hills above the town and flows south for forty miles. Write to ann@example.com."
PAGE = "<html><body><p>The river rises in the hills above the town.</p></body></html>"
LOG = "\n".join(f"2023-11-05 10:11:{second} INFO worker - task {second} done" for second in range(10, 40))


def cleaned(tmp_path, texts, **given):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (tmp_path / "words.txt").write_text("casino\n")
    inputs = {"source": path, "filters.words.file": tmp_path / "words.txt"}
    context, _ = temporary_context(tmp_path / "run", inputs)
    run(CleanSpec(source="file:rows.jsonl", **given), context)
    stats = json.loads((context.out / "stats.json").read_text())
    return stats, [item.raw["text"] for item in read(context.out, ReadReport())]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_dropped_and_changed_is_counted(tmp_path, workers):
    texts = [GOOD, PAGE, LOG, "Play in our casino, the best one in town tonight.", "Too short."]
    settings = {"filters": {"words": {"file": "file:words.txt"}}, "rewriting": {"pii": {}}, "workers": workers}
    stats, kept = cleaned(tmp_path, texts, **settings)
    assert kept == [GOOD.replace("ann@example.com", "[EMAIL]"), "The river rises in the hills above the town."]
    assert stats["dropped"] == {"mostly lines of a log": 1, "a listed word": 1, "fewer than 5 words": 1}
    assert {name: count for name, count in stats["changed"].items() if count} == {
        "HTML to text": 1,
        "e-mail addresses masked": 1,
    }


def test_settings_of_filters_and_rewritings_are_read_by_the_stage_itself(tmp_path):
    seen = []
    unwatch = watch(lambda of, name: seen.append((type(of).__name__, name)))
    given = {"gopher": {"max_bullet_lines": 0.9}, "repetition": {"max_duplicate_lines": 0.5}, "fineweb": {}}
    rewriting = {"pii": {"kinds": ["email"], "placeholders": {"email": "x"}, "private_addresses": True}}
    try:
        cleaned(tmp_path, [GOOD], filters=given, rewriting=rewriting, workers=2)
    finally:
        unwatch()
    wanted = {("GopherSpec", "max_bullet_lines"), ("RepetitionSpec", "max_duplicate_lines")}
    wanted |= {("FineWebSpec", "max_short_lines"), ("PiiSpec", "placeholders"), ("PiiSpec", "private_addresses")}
    assert wanted <= set(seen)
