"""An entry of dataset_info.json as the table of names that it means, and rows before and after, each whole."""

import pytest

from burnish.core.errors import DataError
from burnish.data.sources import dataset_info
from burnish.data.sources.dataset_info import Adapt, adapter, file_name

PROMPTS = {"instruction": "instruction", "input": "input", "output": "output"}
TALKS = {"conversations": "conversations"}
SHARED = ("system", "tools", "chosen", "rejected", "kto_tag", "images", "videos", "audios")
ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}
ALPACA |= {name: name for name in SHARED}
CHAT = {"messages": "conversations"} | {name: name for name in SHARED}
RANKED = ("chosen", "rejected")


def refused(call, *args) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        call(*args)
    assert caught.value.code == "data.unreadable"
    return caught.value.what, caught.value.fix


@pytest.mark.parametrize("formatting", [None, "alpaca", "sharegpt", "openai"])
def test_an_entry_without_columns_has_the_names_that_llama_factory_documents(formatting):
    entry = {"file_name": "x"} | ({"formatting": formatting} if formatting else {})
    if formatting in (None, "alpaca"):
        assert adapter(entry) == Adapt({}, PROMPTS, "from", "value", None)
    else:
        assert adapter(entry) == Adapt({}, TALKS, "from", "value", {})


@pytest.mark.parametrize("column", [*ALPACA, "messages"])
@pytest.mark.parametrize("formatting", ["alpaca", "sharegpt"])
def test_each_column_has_its_name_in_a_row(formatting, column):
    names = ALPACA if formatting == "alpaca" else CHAT
    columns = {"prompt": "p", "response": "r", column: "theirs"} if formatting == "alpaca" else {column: "theirs"}
    entry = {"formatting": formatting, "columns": columns}
    if column not in names:
        what, fix = refused(adapter, entry)
        assert what == f"dataset_info.json: the formatting '{formatting}' has no column '{column}'"
        assert fix == f"name one of {', '.join(names)}, or set another `formatting`"
        return
    if column in RANKED:
        entry = entry | {"ranking": True, "columns": columns | dict.fromkeys(RANKED, "") | {column: "theirs"}}
        entry["columns"][RANKED[column == "chosen"]] = "other"
    ours = adapter(entry).columns
    assert ours["theirs"] == names[column]
    assert ours == {theirs: names[key] for key, theirs in entry["columns"].items()}


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"prompt": "a"}, "text"),
        ({"prompt": "a", "query": "b"}, "text"),
        ({"prompt": "a", "response": "b"}, "instruction"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "instruction"),
    ],
)
def test_a_prompt_without_an_answer_is_a_text(columns, name):
    assert adapter({"columns": columns, "ranking": "chosen" in columns}).columns["a"] == name


def test_each_tag_names_a_key_or_a_role():
    tags = {"role_tag": "who", "content_tag": "said"}
    roles = {
        "user_tag": "human",
        "assistant_tag": "gpt",
        "observation_tag": "observation",
        "function_tag": "function_call",
        "system_tag": "system",
    }
    entry = {"formatting": "sharegpt", "tags": tags | {tag: f"my {tag}" for tag in roles}}
    expected = Adapt({}, TALKS, "who", "said", {f"my {tag}": role for tag, role in roles.items()})
    assert adapter(entry) == expected
    assert adapter({"formatting": "openai", "tags": {"user_tag": "u"}}) == Adapt(
        {}, TALKS, "from", "value", {"u": "human"}
    )


def test_nulls_and_the_split_train_are_as_if_they_were_not_there():
    nulls = dict.fromkeys(("columns", "tags", "split", "num_samples", "subset", "folder", "hf_hub_url"))
    plain = Adapt({}, PROMPTS, "from", "value", None)
    assert adapter(nulls | {"ranking": False}) == plain
    assert adapter({"columns": {}, "tags": {}, "split": "train"}) == plain
    columns = {"prompt": "a", "response": "b", "query": None}
    assert adapter({"columns": columns}).columns == {"a": "instruction", "b": "output"}


@pytest.mark.parametrize(
    ("entry", "what", "fix"),
    [
        ({"ranking": None}, "'ranking' must be true or false, not None", "correct it"),
        (
            {"ranking": True, "columns": {"chosen": "a"}},
            "'ranking' is true, and 'columns' does not name both 'chosen' and 'rejected'",
            "name both",
        ),
        (
            {"columns": {"rejected": "b", "chosen": "a"}},
            "'columns' names 'chosen', and 'ranking' is not true",
            "set `ranking: true`",
        ),
        (
            {"split": "validation"},
            "split 'validation' is not supported: a file has one split",
            "name its file instead",
        ),
        (
            {"tags": {"user_tag": "u"}},
            "'tags' belong to the formatting 'sharegpt', and this is 'alpaca'",
            "set `formatting: sharegpt`",
        ),
        ({"formatting": 7}, "the formatting 7 is unknown", "known names: alpaca, openai, sharegpt"),
        (
            {"columns": {"prompt": "a", "response": "a"}},
            "one column is named twice in 'columns'",
            "name each column once",
        ),
        ({"columns": [1]}, "'columns' must be an object", "correct it"),
        ({"formatting": "openai", "tags": "x"}, "'tags' must be an object", "correct it"),
        ({"formatting": "openai", "tags": {"role_tag": 1}}, "'tags.role_tag' must be a text", "correct it"),
        (
            {"columns": {"prompts": "a"}},
            "the key 'prompts' of columns is unknown",
            "did you mean 'prompt'? correct it, or remove it",
        ),
        (
            {"formatting": "openai", "tags": {"role_tags": "a"}},
            "the key 'role_tags' of tags is unknown",
            "did you mean 'role_tag'? correct it, or remove it",
        ),
    ],
)
def test_what_an_entry_gets_wrong_is_named(entry, what, fix):
    assert refused(adapter, entry) == (f"dataset_info.json: {what}", fix)


@pytest.mark.parametrize("key", ["hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"])
def test_a_dataset_that_is_elsewhere_is_named_with_where_to_get_it(key):
    hub = key == "hf_hub_url"
    fix = "write it as the source: `hub:a/b`" if hub else "fetch it, and name its file with `file_name`"
    assert refused(file_name, {key: "a/b"}) == ("the dataset of dataset_info.json is not in the folder", fix)
    with_subset = fix + (" with `subset: c`" if hub else "")
    assert refused(file_name, {key: "a/b", "subset": "c"})[1] == with_subset
    what, both = refused(file_name, {key: "a/b", "file_name": "x"})
    assert what == (
        f"an entry of dataset_info.json names both '{key}' and 'file_name', and LLaMA-Factory would take the former"
    )
    assert both == f"{fix}; or remove '{key}' to read the file"
    assert file_name({key: None, "file_name": "x"}) == "x"


@pytest.mark.parametrize("name", [None, "", 7])
def test_an_entry_without_a_file_is_refused(name):
    what = "the dataset of dataset_info.json is not in the folder"
    assert refused(file_name, {"file_name": name}) == (what, "fetch it, and name its file with `file_name`")


def test_rows_of_named_columns_are_renamed_and_no_other_column_enters_a_prompt():
    adapt = Adapt({"ask": "instruction", "say": "output"}, PROMPTS)
    row = {"ask": "a", "say": "b", "input": "c", "system": "d", "images": ["e"], "topic": "f", "output": "g"}
    assert adapt(row) == {
        "instruction": "a",
        "output": "b",
        "other_input": "c",
        "other_system": "d",
        "images": ["e"],
        "topic": "f",
        "other_output": "g",
    }
    assert adapt({"output": "b"}) == {"other_output": "b"}


def test_rows_without_named_columns_are_renamed_only_where_the_default_is_there():
    adapt = Adapt({}, PROMPTS)
    assert adapt({"instruction": "a", "output": "b", "system": "c"}) == {
        "instruction": "a",
        "output": "b",
        "other_system": "c",
    }
    plain = {"input": "a", "output": "b", "system": "c"}
    assert adapt(plain) is plain


def test_turns_are_renamed_wherever_a_row_has_them():
    adapt = Adapt({"talk": "conversations", "good": "chosen", "bad": "rejected"}, TALKS, "who", "said", {"me": "human"})
    turn, ours = (
        {"who": "me", "said": "Hi", "from": "web", "at": 7},
        {"from": "human", "value": "Hi", "other_from": "web", "at": 7},
    )
    other, same = {"who": "you", "said": "Ho"}, {"from": "you", "value": "Ho"}
    row = {"talk": [turn, other, "text", {"x": 1}], "good": turn, "bad": [other], "topic": [turn]}
    assert adapt(row) == {
        "conversations": [ours, same, "text", {"x": 1}],
        "chosen": ours,
        "rejected": [same],
        "topic": [turn],
    }
    assert adapt({"talk": "text", "good": 7, "bad": None}) == {"conversations": "text", "chosen": 7, "rejected": None}
    odd = [{"who": ["x"], "said": 1}, {"who": 7}, {"who": None, "said": None}]
    ours = [{"from": ["x"], "value": 1}, {"from": 7, "value": None}, {"from": None, "value": None}]
    assert adapt({"talk": odd}) == {"conversations": ours}


def test_turns_stay_as_they_are_without_a_formatting_of_turns():
    row = {"conversations": [{"who": "me", "said": "Hi"}], "instruction": "a"}
    assert Adapt({}, PROMPTS, "who", "said", None)(row) == {
        "other_conversations": row["conversations"],
        "instruction": "a",
    }
    assert Adapt({}, TALKS, roles={})({"conversations": [{"from": "human", "value": "a"}]}) == {
        "conversations": [{"from": "human", "value": "a"}]
    }


@pytest.mark.parametrize(
    "key", ["file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"]
)
def test_a_table_is_one_where_an_entry_names_a_source(key, tmp_path):
    (tmp_path / "dataset_info.json").write_text(f'{{"x": {{}}, "y": {{"{key}": null}}}}')
    assert dataset_info.entries(tmp_path) == {"x": {}, "y": {key: None}}
    (tmp_path / "dataset_info.json").write_text(f'{{"x": {{}}, "{key}": {{"z": null}}}}')
    assert dataset_info.entries(tmp_path) is None


def test_of_many_entries_the_requested_one_is_read():
    table = {"b": {"file_name": "1"}, "a": {"file_name": "2"}}
    assert dataset_info.chosen(table, "a", "set") == {"file_name": "2"}
    assert refused(dataset_info.chosen, table, None, "set") == (
        "set/dataset_info.json describes 2 datasets",
        "choose one with `subset: …`: a, b",
    )
    what, fix = refused(dataset_info.chosen, {"main": {}}, "mian", "set")
    assert what == "set/dataset_info.json has no dataset 'mian'"
    assert fix == "did you mean 'main'?"
