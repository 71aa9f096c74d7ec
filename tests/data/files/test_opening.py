"""Text that is not UTF-8: GB18030 is detected where it is clear, others are read as a setting says, none is guessed."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from burnish.data.files.chinese import is_gb18030
from burnish.data.reader import read
from burnish.data.record import Bad, ReadReport
from burnish.specs.data import PrepareSpec, SourceSpec
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context

CHINESE = "这是一个关于我们的国家和人民的故事,他们在这里生活了很多年。你可以告诉我他们为什么来到这里吗?"
OTHERS = {
    "latin-1": "Grüße aus München, schöne Mädchen größer, über die Brücke: déjà vu, garçon, señor",
    "cp1251": "Это обычный русский текст, в котором нет ни одного китайского знака, и он довольно длинный.",
    "koi8-r": "Это обычный русский текст, в котором нет ни одного китайского знака, и он довольно длинный.",
    "euc-kr": "이것은 한국어로 쓰인 평범한 문장입니다. 우리는 오늘 학교에 가서 친구를 만나고 공부를 했습니다.",
    "euc-jp": "これは日本語の普通の文章です。今日は学校へ行って友達に会い、勉強をしました。東京は大都市です。",
    "shift_jis": "これは日本語の普通の文章です。今日は学校へ行って友達に会い、勉強をしました。東京は大都市です。",
    "big5": "這是一個關於我們的國家和人民的故事,他們在這裡生活了很多年。你可以告訴我為什麼嗎?",
    "iso8859-7": "Αυτό είναι ένα συνηθισμένο ελληνικό κείμενο που δεν έχει κανένα κινεζικό χαρακτήρα.",
}


def row(text: str) -> bytes:
    return (json.dumps({"text": text}, ensure_ascii=False) + "\n").encode("gb18030")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.txt", "page.md", "rows.jsonl.gz"])
def test_clear_gb18030_is_read_and_reported(name, write, read_all):
    text = {"rows.json": json.dumps([{"text": CHINESE}], ensure_ascii=False), "rows.csv": f'text\n"{CHINESE}"\n'}
    text |= {"rows.txt": CHINESE, "page.md": CHINESE}
    data = text[name].encode("gb18030") if name in text else row(CHINESE)
    records, bad, reading = read_all(write(name, gzip.compress(data) if name.endswith(".gz") else data))
    assert [record.raw["text"] for record in records] == [CHINESE]
    assert not bad
    assert [said for said, matters in reading.messages() if matters] == [
        f"{name} is not UTF-8, and is read as GB18030 (Chinese); set `encoding` to choose"
    ]


@pytest.mark.parametrize("encoding", OTHERS)
def test_another_encoding_is_not_taken_for_it_and_read_as_a_setting_says(encoding, write, read_all):
    path = write("rows.jsonl", json.dumps({"text": OTHERS[encoding]}, ensure_ascii=False).encode(encoding) + b"\n")
    assert not is_gb18030(path.read_bytes())
    records, bad, _ = read_all(path)
    assert not records
    assert "not UTF-8" in bad[0].reason
    (record,) = read(path, ReadReport(encoding=encoding))
    assert not isinstance(record, Bad)
    assert record.raw == {"text": OTHERS[encoding]}


def test_a_broken_row_of_utf_8_stays_a_broken_row(write, read_all):
    lines = [json.dumps({"text": CHINESE}, ensure_ascii=False).encode() + b"\n"] * 3
    lines[1] = lines[1].replace("国".encode(), b"\xb9\xfa")
    records, bad, reading = read_all(write("rows.jsonl", b"".join(lines)))
    assert (len(records), [one.source for one in bad]) == (2, ["rows.jsonl:2"])
    assert not reading.messages()


def test_bytes_that_the_encoding_does_not_know_cost_their_row(write):
    path = write("rows.jsonl", row(CHINESE) + b'{"text": "\xff\xff"}\n' + row("好"))
    items = list(read(path, ReadReport(encoding="gb18030")))
    assert [isinstance(item, Bad) for item in items] == [False, True, False]


def test_each_source_has_its_encoding(tmp_path):
    for name, encoding in (("a", "shift_jis"), ("b", "latin-1"), ("c", "utf-8")):
        text = "日本" if name == "a" else "Grüße"
        (tmp_path / f"{name}.jsonl").write_bytes(json.dumps({"text": text}, ensure_ascii=False).encode(encoding))
    inputs = {f"source.{i}.ref": tmp_path / f"{name}.jsonl" for i, name in enumerate("abc")}
    context, _ = temporary_context(tmp_path / "run", inputs)
    sources = [SourceSpec(ref="file:a", encoding="shift_jis"), SourceSpec(ref="file:b"), SourceSpec(ref="file:c")]
    sources[2] = SourceSpec(ref="file:c", encoding="utf-8")
    outcome = run(PrepareSpec(source=sources, encoding="latin-1"), context)
    assert (outcome.measures["kept"], outcome.measures["quarantined"]) == (3, 0)


def test_an_encoding_that_is_none_is_refused():
    for name in ("nope", "base64"):
        with pytest.raises(ValidationError, match="unknown text encoding"):
            PrepareSpec(source="file:x", encoding=name)
    assert PrepareSpec(source="file:x", subset=2024).subset == "2024"


@pytest.mark.parametrize("kind", ["parquet", "byte-order mark"])
def test_an_encoding_without_effect_is_reported(tmp_path, kind):
    path = tmp_path / ("rows.parquet" if kind == "parquet" else "rows.jsonl")
    if kind == "parquet":
        pq.write_table(pa.table({"text": ["a"]}), path)
    else:
        path.write_text(json.dumps({"text": "a"}), encoding="utf-8-sig")
    context, events = temporary_context(tmp_path, {"source": path})
    run(PrepareSpec(source="file:x", encoding="gb18030"), context)
    warned = [event.text for event in events if event.kind == "note" and event.level == "warning"]
    assert any(text.startswith("encoding: gb18030 has no effect") for text in warned)
