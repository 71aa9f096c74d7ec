"""Every key that LLaMA-Factory documents for dataset_info.json is supported, or refused with an alternative."""

import json
from typing import Any

import pytest

from burnish.core.context import Input
from burnish.core.errors import DataError
from burnish.data.mapping import Mapped
from burnish.data.mixture import open_part
from burnish.data.record import ReadReport
from burnish.data.sources import dataset_info
from layouts.turns import BAH, BOT, CALL, SYSTEM, TOOL, TOOLS, USER

_DIALOG = [{"who": "client", "said": "Hi"}, {"who": "agent", "said": "Hello"}]
_TAGS = {"role_tag": "who", "content_tag": "said", "user_tag": "client", "assistant_tag": "agent"}
CHAT = {"formatting": "sharegpt", "columns": {"messages": "talk"}, "tags": _TAGS}


@pytest.fixture
def read(write):
    """The canonical rows of one entry and its rows, without id and source."""

    def read(entry: dict[str, Any], *rows: dict[str, Any]) -> list[dict[str, Any]]:
        write("set/rows.jsonl", list(rows))
        path = write("set/dataset_info.json", json.dumps({"x": {"file_name": "rows.jsonl"} | entry})).parent
        part = open_part(Input("file:set", "file", path), path, "auto", {}, None)
        items = list(part.items(ReadReport()))
        assert all(isinstance(item, Mapped) for item in items), items
        return [{k: v for k, v in item.row.items() if k not in ("id", "source")} for item in items]

    return read


ALPACA = {"prompt": "ask", "response": "reply"}
ASKED = {"ask": "Hi", "reply": "Hello"}
CHATTED = {"kind": "chat", "messages": [USER, BOT]}
HONOURED = {
    "file_name": ({}, {"instruction": "Hi", "output": "Hello"}, CHATTED),
    "formatting": ({"formatting": "openai"}, {"conversations": [USER, BOT]}, CHATTED),
    "ranking": (
        {"ranking": True, "columns": {"prompt": "ask", "chosen": "good", "rejected": "bad"}},
        {"ask": "Hi", "good": "Hello", "bad": "Bah"},
        {"kind": "preference", "messages": [USER], "chosen": [BOT], "rejected": [BAH]},
    ),
    "split": ({"split": "train", "columns": ALPACA}, ASKED, CHATTED),
    "columns": ({"columns": ALPACA}, ASKED, CHATTED),
    "columns.prompt": ({"columns": {"prompt": "text"}}, {"text": "Hi"}, {"kind": "text", "text": "Hi"}),
    "columns.query": (
        {"columns": ALPACA | {"query": "more"}},
        ASKED | {"more": "you"},
        {"kind": "chat", "messages": [{"role": "user", "content": "Hi\nyou"}, BOT]},
    ),
    "columns.response": ({"columns": ALPACA}, ASKED, CHATTED),
    "columns.history": (
        {"columns": ALPACA | {"history": "past"}},
        ASKED | {"past": [["Hi", "Bah"]]},
        {"kind": "chat", "messages": [USER, BAH, USER, BOT]},
    ),
    "columns.messages": (CHAT, {"talk": _DIALOG}, CHATTED),
    "columns.system": (
        {"columns": ALPACA | {"system": "persona"}},
        ASKED | {"persona": "Be kind"},
        {"kind": "chat", "messages": [SYSTEM, USER, BOT]},
    ),
    "columns.tools": ({"columns": ALPACA | {"tools": "api"}}, ASKED | {"api": [TOOL]}, CHATTED | {"tools": TOOLS}),
    "columns.images": ({"columns": ALPACA | {"images": "i"}}, ASKED | {"i": None}, CHATTED),
    "columns.videos": ({"columns": ALPACA | {"videos": "v"}}, ASKED | {"v": None}, CHATTED),
    "columns.audios": ({"columns": ALPACA | {"audios": "a"}}, ASKED | {"a": None}, CHATTED),
    "columns.chosen": (
        {"formatting": "sharegpt", "ranking": True, "columns": {"messages": "m", "chosen": "c", "rejected": "r"}},
        {
            "m": [{"from": "human", "value": "Hi"}],
            "c": {"from": "gpt", "value": "Hello"},
            "r": {"from": "gpt", "value": "Bah"},
        },
        {"kind": "preference", "messages": [USER], "chosen": [BOT], "rejected": [BAH]},
    ),
    "columns.kto_tag": (
        {"columns": ALPACA | {"kto_tag": "ok"}},
        ASKED | {"ok": False},
        {"kind": "label", "messages": [USER], "completion": [BOT], "label": False},
    ),
    "tags": (CHAT, {"talk": _DIALOG}, CHATTED),
    "tags.observation_tag": (
        CHAT | {"tags": _TAGS | {"observation_tag": "world", "function_tag": "act", "system_tag": "rule"}},
        {
            "talk": [
                {"who": "rule", "said": "Be kind"},
                _DIALOG[0],
                {"who": "act", "said": json.dumps(CALL["function"] | {"arguments": {"zone": "UTC"}})},
                {"who": "world", "said": "12:00"},
                _DIALOG[1],
            ]
        },
        {
            "kind": "chat",
            "messages": [
                SYSTEM,
                USER,
                {"role": "assistant", "content": "", "tool_calls": [CALL]},
                {"role": "tool", "content": "12:00"},
                BOT,
            ],
        },
    ),
}
HONOURED |= {f"tags.{tag}": HONOURED["tags"] for tag in ("role_tag", "content_tag", "user_tag", "assistant_tag")}
HONOURED |= {f"tags.{tag}": HONOURED["tags.observation_tag"] for tag in ("function_tag", "system_tag")}
HONOURED |= {"columns.rejected": HONOURED["columns.chosen"]}
REFUSED = {
    "hf_hub_url": ({"hf_hub_url": "a/b", "file_name": None}, "not in the folder", "hub:a/b"),
    "ms_hub_url": ({"ms_hub_url": "a/b", "file_name": None}, "not in the folder", "`file_name`"),
    "script_url": ({"script_url": "a"}, "both 'script_url' and 'file_name'", "remove 'script_url'"),
    "cloud_file_name": ({"cloud_file_name": "s3://a"}, "both 'cloud_file_name' and", "remove 'cloud_file_name'"),
    "subset": ({"subset": "a"}, "'subset' is not supported", "remove it"),
    "folder": ({"folder": "a"}, "'folder' is not supported", "`file_name`"),
    "num_samples": ({"num_samples": 9}, "'num_samples' is not supported", "`take: …`"),
    "another split": ({"split": "test"}, "split 'test' is not supported", "name its file"),
    "an unknown key": ({"colums": {}}, "the key 'colums' of an entry is unknown", "did you mean 'columns'?"),
    "an unknown column": ({"columns": {"sytem": "s"}}, "'sytem' of columns is unknown", "did you mean 'system'?"),
    "an unknown tag": (CHAT | {"tags": {"user": "u"}}, "the key 'user' of tags is unknown", "'user_tag'"),
    "an unknown formatting": ({"formatting": "shargpt"}, "formatting 'shargpt' is unknown", "'sharegpt'"),
    "a column of the other formatting": ({"columns": {"messages": "m"}}, "has no column 'messages'", "`formatting`"),
    "tags of the other formatting": ({"tags": _TAGS}, "'tags' belong to", "`formatting: sharegpt`"),
    "a ranking without its columns": ({"ranking": True}, "'ranking' is true", "name both"),
    "columns of a ranking": ({"columns": {"chosen": "c"}}, "names 'chosen'", "`ranking: true`"),
    "a ranking that is no truth": ({"ranking": "yes"}, "'ranking' must be true or false", "correct it"),
    "a column named twice": ({"columns": {"prompt": "a", "query": "a"}}, "named twice", "once"),
    "a column that is not text": ({"columns": {"prompt": 7}}, "'columns.prompt' must be a text", "correct it"),
}


@pytest.mark.parametrize("key", HONOURED)
def test_a_documented_key_is_honoured(key, read):
    entry, row, expected = HONOURED[key]
    assert read(entry, row) == [expected]


@pytest.mark.parametrize("key", REFUSED)
def test_what_is_not_supported_is_refused_by_name(key, read):
    entry, what, fix = REFUSED[key]
    with pytest.raises(DataError) as caught:
        read(entry, {"instruction": "Hi", "output": "Hello"})
    assert caught.value.code == "data.unreadable"
    assert what in caught.value.what
    assert fix in caught.value.fix


def test_the_tables_name_every_key():
    tested = {key for key in (*HONOURED, *REFUSED) if "." not in key}
    assert set(dataset_info._ENTRY) - {"om_hub_url"} <= tested
    columns = {**dataset_info._ALPACA, **dataset_info._CHAT}
    assert {f"columns.{name}" for name in columns} <= HONOURED.keys()
    tags = (*dataset_info._KEYS_OF_TURNS, *dataset_info._ROLES)
    assert {f"tags.{name}" for name in tags} <= HONOURED.keys()


def test_columns_that_the_entry_does_not_name_enter_no_prompt(read):
    row = ASKED | {"input": "secret", "system": "Be cruel", "history": [["a", "b"]], "label": True, "topic": "x"}
    (mapped,) = read({"columns": ALPACA}, row)
    others = {"other_input": "secret", "other_system": "Be cruel", "other_history": [["a", "b"]], "other_label": True}
    assert mapped == CHATTED | {"extra": others | {"topic": "x"}}


def test_a_column_that_no_row_has_is_an_error(read):
    with pytest.raises(DataError, match="names 'persna', which no row of file:set has") as caught:
        read({"columns": ALPACA | {"system": "persna"}}, ASKED | {"persona": "Be kind"})
    assert "did you mean 'persona'?" in caught.value.fix
    assert "columns of dataset_info.json" in caught.value.what


def test_a_key_of_a_turn_is_not_lost_behind_a_tag(read):
    (mapped,) = read(CHAT, {"talk": [_DIALOG[0] | {"from": "web"}, _DIALOG[1]]})
    assert mapped == CHATTED | {"extra": {"conversations.0.other_from": "web"}}
