"""Layouts are voted for by the first rows; each verdict and each refusal is told whole."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from burnish.core.errors import DataError
from burnish.data.document import make_row
from burnish.data.formats import FORMATS
from burnish.data.mapping import (
    Found,
    Mapped,
    check_names,
    detect,
    map_rows,
    missing_column,
    renamed,
    unmapped_columns,
)
from burnish.data.record import Bad, Record

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
TEXT, PAIR, NONE = {"text": "a"}, {"question": "Hi", "answer": "Hello"}, {"alien": 1}
ROLE = {"message_id": "b", "parent_id": "a", "text": "Hi", "role": "prompter"}
FORMAT_NAMES = (
    "messages, sharegpt, gemini, alpaca, instruction_response, input_output, prompt_completion, prompt_response, "
    "prompt_answer, query_response, question_answer, question_response, problem_solution, squad, transcript, text, "
    "prompt, preference, compared, scored, kto"
)
WAY_OUT = f"set `format: …` ({FORMAT_NAMES}), or rename columns with `columns: {{their_column: ours}}`"


def records(*rows: dict[str, Any], file: str = "x") -> list[Record]:
    return [Record(raw, f"{file}:{i}") for i, raw in enumerate(rows, 1)]


def verdict(items: Iterable[Record | Bad], format: str = "auto") -> str:
    """What a detection says: the format and its reason, or the error."""
    try:
        found, _ = detect(iter(list(items)), "X", format)
    except DataError as error:
        return f"{error.code}: {error.what} | {error.fix}"
    return f"{found.format.name}: {found.reason}"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "text: there are no readable rows"),
        ([TEXT], "text: every one of the first 1 rows has a text column"),
        ([TEXT] * 2, "text: every one of the first 2 rows has a text column"),
        ([TEXT, NONE], "text: 1 of the first 2 rows has a text column"),
        ([TEXT, NONE] * 2, "text: 2 of the first 4 rows have a text column"),
        ([PAIR, TEXT, PAIR], "question_answer: 2 of the first 3 rows have question and answer"),
        (
            [PAIR | TEXT],
            "question_answer: every one of the first 1 rows has question and answer; it could also be read as text",
        ),
        (
            [PAIR | TEXT | {"chosen": "a", "rejected": "b"}],
            "preference: every one of the first 1 rows has chosen and rejected; it could also be read as "
            "question_answer or text",
        ),
        ([PAIR, PAIR, TEXT, TEXT], "question_answer: 2 of the first 4 rows have question and answer; it could also be "
         "read as text"),
        ([TEXT, ROLE], "text: every one of the first 2 rows has a text column"),
        ([TEXT | {"question": "Hi", "choices": ["a"]}, TEXT],
         "text: every one of the first 2 rows has a text column"),
        ([PAIR | ROLE] * 2, "question_answer: every one of the first 2 rows has question and answer; it could also be "
         "read as text"),
    ],
)  # fmt: skip
def test_the_layout_of_most_rows_with_the_lowest_rank_is_taken(rows, expected):
    assert verdict(records(*rows)) == expected


CODE = "data.unknown-format: "


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [{"b": 1, "c": 2, "a": 3, "f": 4, "e": 5, "d": 6}],
            f"no known layout fits X; its columns are: a, b, c, d, e, f | {WAY_OUT}",
        ),
        ([TEXT, NONE, NONE], f"no layout fits most rows of X: text (1 of 3); its columns are: alien, text | {WAY_OUT}"),
        (
            [PAIR, PAIR | TEXT, NONE, NONE, NONE],
            "no layout fits most rows of X: question_answer (2 of 5), text (1 of 5); "
            f"its columns are: alien, answer, question, text | {WAY_OUT}",
        ),
        (
            [PAIR | {"problem": "a", "solution": "b", "text": "c"}],
            "more than one layout fits X: question_answer (1 of 1), problem_solution (1 of 1); "
            f"its columns are: answer, problem, question, solution, text | {WAY_OUT}",
        ),
        (
            [TEXT | {"prompt": "a"}],
            f"more than one layout fits X: text (1 of 1), prompt (1 of 1); its columns are: prompt, text | {WAY_OUT}",
        ),
        (
            [ROLE, NONE, NONE],
            "no layout fits most rows of X: text (1 of 3); "
            f"its columns are: alien, message_id, parent_id, role, text | {WAY_OUT}",
        ),
        (
            [{"data": ["a", "b"]}, NONE],
            f"no known layout fits X; its columns are: alien, data | {WAY_OUT}",
        ),
        (
            [{"data": ["a", "b"]}] * 2 + [NONE] * 3,
            f"no known layout fits X; its columns are: alien, data | {WAY_OUT}",
        ),
        (
            [{"data": ["a", "b"]}] * 2 + [NONE],
            "the rows of X are lists of texts without roles | write each turn with its role: "
            "`{messages: [{role, content}, …]}`",
        ),
        (
            [ROLE, ROLE, NONE],
            "the rows of X are the messages of trees (OpenAssistant), one row each: a conversation is spread over many "
            "rows | follow `parent_id` from each last answer to its root, and write a row "
            "`{messages: [{role, content}, …]}`",
        ),
        (
            [{"prompt": {"replies": []}}],
            "the rows of X are trees of replies (OpenAssistant), of which each holds many conversations | choose a "
            "path through the replies, such as the best rank, and write `{messages: [{role, content}, …]}`",
        ),
        (
            [{"question": "Hi", "choices": ["a"]}],
            "the rows of X are multiple-choice questions, with the choices in their own column | write the choices "
            "into the question and the right one as its answer: `{question, answer}`; or, to evaluate with "
            "`multiple_choice`, prepare them with `format: prompt` and the question's column as `prompt`",
        ),
    ],
)  # fmt: skip
def test_rows_without_one_layout_are_refused_with_a_way_out(rows, expected):
    assert verdict(records(*rows)) == CODE + expected


def test_files_that_differ_are_named_as_a_reason():
    differ = "; if its files differ, give each as a source of its own"
    for sources, hint in (
        (["a.jsonl:1", "a.jsonl:2"], ""),
        (["a.parquet#1", "a.parquet#2"], ""),
        (["a.jsonl:1", "b.jsonl:1"], differ),
        (["a.parquet#1", "b.parquet#1"], differ),
    ):
        items = [Record(NONE, source) for source in sources]
        assert verdict(items) == f"{CODE}no known layout fits X; its columns are: alien | {WAY_OUT}{hint}"


def test_the_layout_is_that_of_the_first_hundred_rows():
    rows = records(*[TEXT] * 100, *[PAIR] * 900)
    assert verdict(rows) == "text: every one of the first 100 rows has a text column"
    assert verdict(rows[1:]) == "text: 99 of the first 100 rows have a text column"


def test_up_to_a_thousand_bad_rows_are_looked_past():
    bad = [Bad(f"x:{i}", "", "broken", "") for i in range(1000)]
    assert verdict([*bad, *records(TEXT)]) == "text: there are no readable rows"
    assert verdict([*bad[1:], *records(TEXT)]) == "text: every one of the first 1 rows has a text column"
    between = [*records(*[TEXT] * 50), *bad[:999], *records(*[TEXT] * 60)]
    assert verdict(between) == "text: every one of the first 100 rows has a text column"


@pytest.mark.parametrize("format", ["auto", "text"])
def test_no_item_is_lost_by_the_detection(format):
    items: list[Record | Bad] = [Bad("x:0", "", "broken", ""), *records(*[TEXT] * 150)]
    found, rest = detect(iter(items), "X", format, {"Klant": "user"})
    assert list(rest) == items
    assert found.roles == {"Klant": "user"}
    found, rest = detect(iter(()), "X", format)
    assert (list(rest), found.roles, found.format.name) == ([], {}, "text")
    assert Found(FORMATS["text"], "a").roles == {}


def test_a_requested_format_needs_each_of_its_columns_in_some_row():
    assert verdict([], "question_answer") == "question_answer: as requested"
    assert verdict([Bad("x:1", "", "broken", "")], "kto") == "kto: as requested"
    assert verdict(records({"question": None}, {"answer": 1}), "question_answer") == "question_answer: as requested"
    assert verdict(records({"conversation": 1}), "sharegpt") == "sharegpt: as requested"
    rename = "rename with `columns: {their_column: %s}`, or set another `format`"
    missing = "data.missing-column: X has no column '%s'; its columns are: %s | %s " + rename
    hint = "known names: alien, question"
    assert verdict(records({"question": "a"}, NONE), "question_answer") == missing % (
        "answer", "alien, question", hint, "answer",
    )  # fmt: skip
    assert verdict(records({"question": "a"}, NONE), "sharegpt") == missing % (
        "conversations", "alien, question", hint, "conversations",
    )  # fmt: skip


def test_a_missing_column_is_told_with_the_nearest_of_those_there_are():
    error = missing_column("X", "answer", ["f", "anser", "e", "d", "c", "b"])
    assert (error.code, error.what) == (
        "data.missing-column",
        "X has no column 'answer'; its columns are: anser, b, c, d, e, f",
    )
    rename = "rename with `columns: {their_column: answer}`, or set another `format`"
    assert error.fix == f"did you mean 'anser'? {rename}"


class Counted:
    """Items, and how many of them were read."""

    def __init__(self, *items: Record | Bad):
        self.items, self.read = items, 0

    def __iter__(self) -> Iterator[Record | Bad]:
        for item in self.items:
            self.read += 1
            yield item


BAD = Bad("x:0", "", "broken", "")


@pytest.mark.parametrize(
    ("items", "columns", "roles", "read"),
    [
        ([BAD, *records(TEXT, TEXT)], [], [], 1),
        ([BAD, *records(TEXT, TEXT)], ["text"], [], 3),
        ([*records({"b": 1}, {"a": None}, TEXT)], ["a", "b"], [], 3),
        ([*records(TEXT, {"m": [{"from": "b"}]}, {"role": "a"}, TEXT)], ["text"], ["a", "b"], 4),
        ([BAD, BAD], ["text"], ["a"], 2),
        ([], ["text"], [], 0),
    ],
)
def test_names_of_a_setting_are_looked_for_as_far_as_needed(items, columns, roles, read):
    counted = Counted(*items)
    check_names(counted, columns, roles, "X")
    assert counted.read == read


@pytest.mark.parametrize(
    ("items", "columns", "roles", "what", "fix"),
    [
        (
            [BAD, *records({"b": 1}, {"abc": 2, "b": 1})],
            ["b", "abd"],
            [],
            "`columns` names 'abd', which no row of X has; its columns are: abc, b",
            "did you mean 'abc'? correct the name, or remove it",
        ),
        (
            records({"b": 1}),
            ["x", "y"],
            ["z"],
            "`columns` names 'x', which no row of X has; its columns are: b",
            "known names: b correct the name, or remove it",
        ),
        (
            records({"b": [{"role": "klant"}]}, {"b": [{"role": "agent"}]}),
            ["b"],
            ["agent", "client"],
            "`roles` names 'client', which no turn of X has; its roles are: agent, klant",
            "known names: agent, klant correct the name, or remove it",
        ),
        (
            records({"b": 1}),
            [],
            ["client"],
            "`roles` names 'client', which no turn of X has; its roles are: none",
            "there are none yet correct the name, or remove it",
        ),
    ],
)
def test_a_name_that_no_row_has_is_an_error(items, columns, roles, what, fix):
    with pytest.raises(DataError) as caught:
        check_names(items, columns, roles, "X")
    assert (caught.value.code, caught.value.what, caught.value.fix) == ("data.missing-column", what, fix)


def test_the_setting_of_a_wrong_name_is_told():
    with pytest.raises(DataError) as caught:
        check_names(records(TEXT), ["a"], [], "X", "columns of a file")
    assert caught.value.what == "`columns of a file` names 'a', which no row of X has; its columns are: text"


def test_columns_are_renamed_in_their_place():
    rows = records({"a": 1, "b": 2, "c": 3}, {"b": 4}, {"c": 5, "text": 6})
    items: list[Record | Bad] = [rows[0], BAD, rows[1], rows[2]]
    assert list(renamed(items, {})) == items
    first, bad, second, twice = renamed(items, {"b": "B", "c": "text", "x": "y"})
    assert first == Record({"a": 1, "B": 2, "text": 3}, "x:1")
    assert list(first.raw) == ["a", "B", "text"]
    assert (bad, second) == (BAD, Record({"B": 4}, "x:2"))
    reason = "`columns` renames two columns to 'text': rename the other one too"
    assert twice == Bad("x:3", "text", reason, '{"c":5,"text":6}')


def test_rows_are_mapped_or_bad_and_bad_ones_are_passed_on():
    found = Found(FORMATS["question_answer"], "as requested")
    items = [BAD, Record({"answer": "é", "question": 7, "n": 1}, "x:1", "test"), Record({"question": "a"}, "x:2")]
    bad, mapped, missing = map_rows([*items, BAD][:3], found)
    assert bad is BAD
    assert isinstance(mapped, Mapped)
    assert (mapped.split, mapped.remarks, mapped.unmapped) == ("test", (), ["n"])
    messages = [{"role": "user", "content": "7"}, {"role": "assistant", "content": "é"}]
    assert mapped.row == make_row("chat", "x:1", messages=messages, extra={"n": 1})
    assert missing == Bad("x:2", "answer", "the column 'answer' is missing", '{"question":"a"}')


def test_names_in_extra_are_told_once_with_positions_as_stars():
    names = ["m.0.a", "m.12.a", "b", "m.0.parts.3", "7", "c.7", "c.7x", "x.1.2.y"]
    row = make_row("text", "x:1", text="a", extra=dict.fromkeys(names, 1))
    assert unmapped_columns(row) == ["m.*.a", "b", "m.*.parts.*", "7", "c.*", "c.7x", "x.*.*.y"]
    assert unmapped_columns(make_row("text", "x:1", text="a")) == []
