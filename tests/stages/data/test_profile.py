"""profile: its counts are those of the rows, its page is harmless, and it reads every kind of input."""

import json
from html.parser import HTMLParser

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError
from burnish.data.rewriting.personal import SHAPES
from burnish.data.shards.writer import ShardWriter
from burnish.specs.data import CleanSpec, MixtureSpec, PrepareSpec, ProfileSpec, SourceSpec, SplitSpec
from burnish.stages.data import clean, prepare
from burnish.stages.data.profile import run
from burnish.testing import temporary_context, tiny_tokenizer

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> \x1b[31mred \u202eevil $x^2$ </style> 'a' \"b\" &amp; "
    "{--share: 1} [x](javascript:alert(1))"
)


def rows_of(count: int, start: int = 0) -> list[dict]:
    return [
        {"question": f"What is the number {i}?", "answer": "It is " + f"{i} " * (i % 9 + 1), "license": "mit"}
        for i in range(start, start + count)
    ]


def lines_of(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def profile(tmp_path):
    """Profile a folder of files; gives (profile.json, page, events, outcome)."""

    def profile(files: dict[str, str], tokenizer=None, **settings):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8", errors="surrogatepass")
        return profiled(folder, tokenizer, **settings)

    def profiled(path, tokenizer=None, **settings):
        inputs = {"source": Input(f"file:{path.name}", "folder", path)}
        if tokenizer is not None:
            inputs["tokenizer"], settings["tokenizer"] = tokenizer, "file:tokenizer"
        context, events = temporary_context(tmp_path / "run", inputs)
        outcome = run(ProfileSpec(source=f"file:{path.name}", **settings), context)
        found = json.loads((context.out / "profile.json").read_text(encoding="utf-8"))
        assert (context.out / "profile.png").read_bytes().startswith(b"\x89PNG")
        return found, (context.out / "profile.html").read_text(encoding="utf-8"), events, outcome

    profile.of = profiled
    return profile


@pytest.mark.usefixtures("painted")
def test_counts_are_those_of_the_rows(profile):
    train = rows_of(40) + rows_of(2)
    test = [train[3], {"question": "What is  THE number 4?", "answer": "four"}, *rows_of(2, 100)]
    found, _, events, outcome = profile({"train.jsonl": lines_of(train) + '{"broken\n\n', "test.jsonl": lines_of(test)})
    assert found["format"] == "burnish profile 1"
    assert (found["rows"], found["splits"], found["blank_lines"]) == (46, {"test": 4, "train": 42}, 1)
    assert found["bad"]["rows"] == 1
    assert found["bad"]["first"][0]["source"] == "train.jsonl:43"
    assert [column["name"] for column in found["columns"]] == ["question", "answer", "license"]
    assert found["columns"][2]["missing"] == 1
    assert found["licences"] == {"mit": 45, "": 1}
    assert found["characters"]["count"] == sum(count for *_, count in found["characters"]["histogram"]) == 46
    assert found["roles"] == {"user": 46, "assistant": 46}
    assert found["duplicates"]["exact"]["rows"] == 3
    leaks = found["leakage"]["test"]
    assert (leaks["rows"], leaks["exact"], leaks["question"]) == (4, 1, 1)
    assert {len(rows) for rows in found["examples"].values()} == {3}
    assert outcome.kind == "profile"
    assert outcome.measures["exact_duplicates"] == 3
    warnings = [event.text for event in events if event.kind == "note" and event.level == "warning"]
    assert any("2 of 4 rows of test repeat a training row" in text for text in warnings)
    assert any("3 rows (6.5%) repeat another row" in text for text in warnings)
    assert events[-1].title == "Profile"
    assert ["leaks in test", "2"] in events[-1].rows


def test_personal_data_is_counted_as_clean_counts_it_and_not_shown(profile, tmp_path):
    mails = [{"text": f"Row {i}: write to person{i}@example.com about the harbour."} for i in range(3)]
    rows = [*mails, {"text": "The key sk-" + "a1B2" * 10 + " opens it."}, *({"text": f"A row {i}."} for i in range(6))]
    found, page, events, _ = profile({"train.jsonl": lines_of(rows)}, examples=0, topics=0)
    kinds = found["personal"]["kinds"]
    assert (found["personal"]["rows"], found["personal"]["share"]) == (4, 0.4)
    assert kinds["email"] == {"rows": 3, "share": 0.3, "first": [f"train.jsonl:{i}" for i in (1, 2, 3)]}
    assert "<h2>Personal data</h2>" in page
    assert "e-mail addresses" in page
    assert any("4 rows (40.0%) have what looks like personal data" in warning for warning in found["warnings"])
    assert ["with personal data", "4 (40.0%)"] in events[-1].rows
    context, _ = temporary_context(tmp_path / "cleaned", {"source": tmp_path / "data"})
    clean.run(CleanSpec(source="file:data", rewriting={"pii": {}}, filters=None), context)
    changed = json.loads((context.out / "stats.json").read_text())["changed"]
    assert {name: changed[SHAPES[name].name] for name in kinds} == {name: of["rows"] for name, of in kinds.items()}


class Strict(HTMLParser):
    """Collects what a page could run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            loads = name in ("src", "href", "xlink:href", "action", "srcset", "data") and not (value or "").startswith(
                "#"
            )
            if (
                loads
                or name.startswith("on")
                or "url(" in (value or "").replace("url(#", "")
                or tag in ("script", "img")
            ):
                self.found.append(f"{tag} {name}={value}")


def test_hostile_rows_are_harmless_on_the_page(profile):
    row = {"question": HOSTILE, "answer": HOSTILE, HOSTILE: HOSTILE, "license": HOSTILE}
    files = {"train.jsonl": lines_of([row] * 3 + rows_of(30)) + HOSTILE + "\n", "test.jsonl": lines_of([row])}
    found, page, *_ = profile(files)
    strict = Strict()
    strict.feed(page)
    assert strict.found == []
    assert not strict.tags & {"script", "img", "iframe", "object", "embed", "link", "form", "base"}
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not {"\x1b", "\u202e"} & set(page)
    assert "&lt;script&gt;alert(1)" in page
    assert found["duplicates"]["exact"]["rows"] == 3
    json.loads(json.dumps(found))


def test_the_page_has_a_section_for_each_thing(profile):
    rivers = [{"question": f"Which river is near {i}?", "answer": "A river of water"} for i in range(30)]
    _, page, *_ = profile({"train.jsonl": lines_of(rows_of(60) + rivers), "test.jsonl": lines_of(rows_of(5, 90))})
    for heading in ("Lengths", "Conversations", "Languages", "Topics", "Duplicates", "Leaks between splits", "Columns"):
        assert f"<h2>{heading}</h2>" in page
    assert "prefers-color-scheme: dark" in page


def test_a_prepared_dataset_keeps_its_splits_and_its_counted_tokens(profile, tmp_path):
    (tmp_path / "rows.jsonl").write_text(lines_of(rows_of(50)))
    inputs = {"source": tmp_path / "rows.jsonl", "tokenizer": tiny_tokenizer(tmp_path / "tokenizer")}
    context, _ = temporary_context(tmp_path / "prepared", inputs)
    spec = PrepareSpec(source="file:rows.jsonl", split=SplitSpec(test=0.3), tokenizer="file:tokenizer")
    made = prepare.run(spec, context)
    found, *_ = profile.of(context.out)
    assert found["splits"] == made.measures["splits"]
    assert found["tokens"]["total"] == made.measures["tokens"]
    assert found["leakage"]["test"]["share"] == 0.0
    names = [column["name"] for column in found["columns"]]
    assert names == ["kind", "messages", "license"]
    with pytest.raises(AskError, match="prepared dataset, where format has no effect"):
        profile.of(context.out, format="text")


def test_tokens_of_texts_are_counted(profile, tmp_path):
    found, *_ = profile({"train.jsonl": lines_of(rows_of(20))}, tokenizer=tiny_tokenizer(tmp_path / "tokenizer"))
    assert found["tokens"]["count"] == 20
    assert found["tokens"]["histogram"]
    assert "learned" not in found


def test_rows_of_no_known_layout_are_read_as_texts(profile):
    lines = lines_of(
        [{"alpha": "one two", "beta": {"gamma": ["three"]}, "delta": i} for i in range(5)] + [{"delta": 1}]
    )
    found, _, events, _ = profile({"train.jsonl": lines})
    assert found["source"]["layout"] == "unknown, all text of a row is taken"
    assert (found["rows"], found["bad"]["rows"], found["characters"]["max"]) == (5, 1, len("one two\nthree"))
    assert any("all text of a row is taken as its text" in event.text for event in events if event.kind == "note")
    with pytest.raises(DataError, match="has no column"):
        profile({"train.jsonl": lines}, format="messages")


@pytest.mark.parametrize("content", ["", "\n\n", '{"broken\n'])
def test_no_readable_row_is_an_error(profile, content):
    with pytest.raises(DataError) as caught:
        profile({"train.jsonl": content})
    assert caught.value.code == "data.empty"


def test_switched_off_parts_are_absent(profile):
    settings = {"near_duplicates": False, "topics": 0, "examples": 0}
    found, page, events, _ = profile({"train.jsonl": lines_of(rows_of(40))}, **settings)
    assert found["topics"]["clusters"] == []
    assert not any(found["examples"].values())
    assert "near" not in found["duplicates"]
    assert "<h2>Examples</h2>" not in page
    assert not any("near duplicates" in row[0] for row in events[-1].rows)


def test_the_same_rows_give_the_same_files(profile, tmp_path):
    files = {"train.jsonl": lines_of(rows_of(60))}
    first = profile(files)[:2]
    assert profile(files)[:2] == first


def test_copies_that_a_mixture_made_are_no_warning(profile, tmp_path):
    for name, count in (("a", 30), ("b", 5)):
        (tmp_path / f"{name}.jsonl").write_text(lines_of(rows_of(count, 100 * count)))
    inputs = {f"source.{place}.ref": tmp_path / f"{name}.jsonl" for place, name in enumerate("ab")}
    context, _ = temporary_context(tmp_path / "mixed", inputs)
    mixture = MixtureSpec(rows=30, repeat=True)
    prepare.run(PrepareSpec(source=[SourceSpec(ref="file:a"), SourceSpec(ref="file:b")], mixture=mixture), context)
    found, page, *_ = profile.of(context.out)
    assert (found["source"]["repeated"], found["duplicates"]["exact"]["rows"]) == (10, 10)
    assert not any("repeat another row" in text for text in found["warnings"])
    assert "10 rows are copies that a mixture made" in page


def test_the_licence_and_revision_of_fetched_rows_are_on_the_page(profile, tmp_path):
    with ShardWriter(tmp_path / "fetched", about={"source": "hub:o/n", "revision": "abc", "licence": "mit"}) as writer:
        for row in rows_of(12):
            writer.write(row, "train")
    found, page, *_ = profile.of(tmp_path / "fetched")
    assert found["source"] | {"ref": ""} == {
        "ref": "",
        "kind": "folder",
        "layout": found["source"]["layout"],
        "origin": "hub:o/n",
        "revision": "abc",
        "licence": "mit",
    }
    assert "licence mit" in page
    assert found["rows"] == 12


def test_personal_data_of_conversations_is_counted_as_clean_masks_it(profile, tmp_path):
    """What begins in one turn and ends in the next is none; what stands in the turn before changes nothing."""

    def chat(question, answer):
        return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}

    def calling(arguments):
        call = {"type": "function", "id": "a", "function": {"name": "act", "arguments": json.dumps(arguments)}}
        asked = [{"role": "user", "content": "Please."}, {"role": "assistant", "content": "", "tool_calls": [call]}]
        return {"messages": [*asked, {"role": "tool", "tool_call_id": "a", "content": "done"}]}

    reasoned = chat("Name it.", "Ok.")
    reasoned["messages"][1]["reasoning_content"] = "They are q@example.com."
    rows = [
        *(chat("version", "8.8.8.8 is here"), chat("Update", "8.8.4.4"), chat("10.0.0.1 is private", "Yes")),
        *(chat("+49 170", "1234567 fine"), chat("call 555", "0123456 all"), chat("Mine is +49 30 1234567.", "Ok.")),
        *(calling({"to": "a@example.com"}), calling({"version": "8.8.4.4"}), calling({"in": ['{"to": "8.8.4.4"}', 7]})),
        *(reasoned, chat("Hi", "Write to b@example.com or call +49 30 1234567.")),
    ]
    content = lines_of(rows)
    personal = profile({"train.jsonl": content})[0]["personal"]
    (tmp_path / "rows.jsonl").write_text(content)
    context, _ = temporary_context(tmp_path / "clean", {"source": tmp_path / "rows.jsonl"})
    spec = CleanSpec(source="file:rows.jsonl", filters=None, exact_dedup=False, rewriting={"pii": {}}, workers=1)
    clean.run(spec, context)
    changed = json.loads((context.out / "stats.json").read_text())["changed"]
    assert {SHAPES[kind].name: of["rows"] for kind, of in personal["kinds"].items()} == changed
    assert changed == {"IP addresses masked": 4, "e-mail addresses masked": 3, "phone numbers masked": 2}
    assert personal["rows"] == 8
