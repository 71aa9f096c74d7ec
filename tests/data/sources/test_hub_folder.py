"""The head of a card: which text is one, which configurations it lists, which is read, and its patterns."""

import pytest

from burnish.core.errors import DataError
from burnish.data.sources.hub_folder import chosen, configs, configs_in, folder_of, head_of, patterns

ONE = "configs:\n- config_name: a\n  data_files: x"
CONFIG = {"config_name": "a", "data_files": "x"}


@pytest.fixture
def card(tmp_path):
    def card(text: str | bytes) -> list[dict]:
        (tmp_path / "README.md").write_bytes(text.encode() if isinstance(text, str) else text)
        return configs(tmp_path)

    return card


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        (f"---\n{ONE}\n---\nWords.", True),
        (f"---\n{ONE}\n---", True),
        (f"--- \t\r\n{ONE}\r\n---\t\r\nWords.", True),
        (f"---\n{ONE}\n---\n---\nx: [\n---\n", True),
        (f"\n---\n{ONE}\n---\n", False),
        (f"---\n{ONE}\n", False),
        (f"---\n{ONE}\n---x\n", False),
        (f"--\n{ONE}\n--\n", False),
        (ONE, False),
        ("", False),
    ],
)
def test_a_head_stands_between_lines_of_dashes_at_the_start(text, is_read, card):
    assert card(text) == ([CONFIG] if is_read else [])


def test_a_head_is_looked_for_in_the_first_million_characters(card):
    for length, is_read in ((1_000_000, True), (1_000_001, False)):
        head = f"---\n{ONE}\n# ü"
        assert card(head + "x" * (length - len(head) - 4) + "\n---") == ([CONFIG] if is_read else [])


def test_bytes_that_are_not_utf_8_are_replaced(card):
    assert card(b"---\n# " + b"\xff\n" + f"{ONE}\n---\n".encode()) == [CONFIG]


@pytest.mark.parametrize(
    ("head", "is_read"),
    [
        (f"a: &x 1\n{ONE}", True),
        (f"&x a: 1\n{ONE}", True),
        (f"a: {{b:*x}}\n{ONE}", True),
        (f"a: 1 & 2 * 3\n{ONE}", True),
        (f"a: R&D x*y\n{ONE}", True),
        (f"a: '&'\n{ONE}", True),
        (f"a: You must *not* share this &co.\n{ONE}", True),
        (f"a: |\n  - *not* this\n{ONE}", True),
        (f"a: [&x 1, *x]\n{ONE}", False),
        (f"a: [*x]\n{ONE}", False),
        (f"{ONE}\n- data_files: **.csv", False),
    ],
)
def test_a_head_that_names_files_is_read_or_refused(head, is_read, card):
    text = f"---\n{head}\n---\n"
    if is_read:
        assert card(text) == [CONFIG]
        return
    with pytest.raises(DataError, match=r"README\.md names the files of the dataset, and its head cannot be read"):
        card(text)
    assert head_of(text) == {}


@pytest.mark.parametrize(
    ("folder", "found"), [("sub", "sub"), ("./sub/", "sub"), ("a/b", "a/b"), (".", ""), ("", ""), (None, "")]
)
def test_the_folder_of_a_configuration(folder, found):
    assert folder_of({"data_dir": folder}) == found
    whole = f"{found}/x.csv" if found else "x.csv"
    assert patterns({"data_dir": folder, "data_files": "x.csv"}) == [("", whole)]
    assert patterns({"data_dir": folder}) == []
    assert configs_in({"configs": [{"data_dir": folder}]}) == ([{"data_dir": folder}] if found else [])


def test_configurations_that_name_no_files_are_left_out(card):
    listed = "configs:\n- config_name: a\n- 7\n- data_files: 2024\n- data_files: ''\n- data_files: [1.10, no]\n"
    assert card(f"---\n{listed}---\n") == [{"data_files": "2024"}, {"data_files": ["1.10", "no"]}]
    for other in ("configs:\n  data_files: x", "configs: 7", "- configs", "7", "config:\n- data_files: x", "a: ["):
        assert card(f"---\n{other}\n---\n") == []


def config(name: str | None, default: str | None = None) -> dict:
    return (
        {"data_files": f"{name}.jsonl"}
        | ({"config_name": name} if name else {})
        | ({"default": default} if default else {})
    )


@pytest.mark.parametrize(
    ("listed", "subset", "place"),
    [
        ([config("a")], None, 0),
        ([config("a"), config("b", "true")], None, 1),
        ([config("a"), config("b", "True")], None, 1),
        ([config("a", "false"), config("b"), config("default")], None, 2),
        ([config("a"), config(None)], None, 1),
        ([config("a"), config("b", "true"), config("default")], None, 1),
        ([config("a"), config("default"), config("b", "true")], None, 1),
        ([config("a"), config("b", "true")], "a", 0),
        ([config("a"), config(None)], "default", 1),
        ([config("1"), config("2")], "2", 1),
    ],
)
def test_the_configuration_is_the_requested_or_the_first_that_is_a_default(listed, subset, place):
    assert chosen(listed, subset, "set") == listed[place]


def test_a_configuration_that_nothing_chooses_is_refused():
    listed = [config("main"), config("also")]
    with pytest.raises(DataError) as caught:
        chosen(listed, None, "set")
    assert (caught.value.what, caught.value.fix) == ("set has 2 subsets", "choose one with `subset: …`: also, main")
    with pytest.raises(DataError) as caught:
        chosen(listed, "mian", "set")
    assert (caught.value.what, caught.value.fix) == ("set has no subset 'mian'", "did you mean 'main'?")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("a", [("", "a")]),
        (["a", {"split": "test", "path": "b"}], [("", "a"), ("test", "b")]),
        ({"path": "a"}, [("train", "a")]),
        ({"split": "test", "path": ["a", "", "b", None]}, [("test", "a"), ("test", "b")]),
        ([{"split": "x"}, {"split": "y", "path": ""}], []),
        (["", "a"], [("", "a")]),
    ],
)
def test_the_patterns_of_a_configuration(files, expected):
    assert patterns({"data_files": files}) == expected
