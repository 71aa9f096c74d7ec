"""The recipe of a clean corpus runs from a folder of raw texts to a tokenizer, and its pages are there."""

import json
import random
from pathlib import Path

import pytest

import burnish
from burnish.data.reader import read
from burnish.data.record import ReadReport

RECIPE = Path(__file__).parents[2] / "recipes" / "clean-corpus.yaml"
ENGLISH = (
    "the harbour was quiet at dawn and nobody had opened the shops along the water yet when a small boat came in "
    "with two men who had been out all night because of the storm that nobody had seen coming from the north"
)
CHINESE = "清晨的港口十分安静商店还没有开门营业一只猫睡在温暖的石头上等着渔船回来老人说昨夜的风很大但是没有人受伤"
WORDS = ENGLISH.split()


def shuffled(words, seed):
    return random.Random(seed).sample(words, len(words))


@pytest.mark.timeout(300)
def test_from_raw_texts_to_a_tokenizer(tmp_path):
    texts = [f"{' '.join(shuffled(WORDS, seed))}. Write to mail{seed}@example.org." for seed in range(8)]
    texts += ["".join(shuffled(list(CHINESE), seed)) + "。" for seed in range(8)]
    junk = [
        "Wir haben gestern den ganzen Tag am Hafen auf das Schiff gewartet, und es kam nicht.",
        "1 2 3 " * 90,
        "",
        "Ok.",
    ]
    (tmp_path / "raw").mkdir()
    rows = [
        json.dumps({"text": text, "url": f"https://example.org/{i}"})
        for i, text in enumerate([*texts, texts[0], *junk])
    ]
    (tmp_path / "raw/pages.jsonl").write_text("\n".join([*rows, "{"]))
    asked = "a question of a test that nobody may see before, with words enough for a run of thirteen"
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": asked, "answer": "So it is."}) + "\n")
    with (tmp_path / "raw/pages.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"text": f"On the web it says: {asked}, and more."}))
    short = ["tokenizer.vocabulary=300", "clean.max_bad_share=0.1", "data.split={validation: 0.2}"]
    short += ["clean.decontaminate.against=[file:test.jsonl]"]

    run = burnish.run(RECIPE, settings=short, workspace=tmp_path)
    stats = json.loads((run["clean"].path / "stats.json").read_text())
    assert (
        stats["read"]
        == len(texts) + len(junk) + 3
        == stats["kept"] + stats["quarantined"] + sum(stats["dropped"].values())
    )
    assert stats["dropped"]["duplicate"] == 1
    assert stats["dropped"]["language de"] == 1
    assert stats["dropped"]["in an evaluation"] == 1
    kept = [item.raw for item in read(run["clean"].path, ReadReport())]
    assert all(set(row) == {"text", "url"} for row in kept)
    assert any("[EMAIL]" in row["text"] for row in kept)
    assert any("港口" in row["text"] for row in kept)
    assert not any("@example.org" in row["text"] for row in kept)
    assert json.loads((run["profile"].path / "profile.json").read_text())["rows"] == len(kept)
    assert (run["clean"].path / "report.html").exists()
    assert (run["profile"].path / "profile.html").exists()
    assert (run["tokenizer"].path / "tokenizer.json").exists()
