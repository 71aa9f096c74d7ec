"""The hint that suggests a name for an unknown one."""

from burnish.core.naming import MOST_NAMES, nearest


def test_the_nearest_name_is_suggested():
    assert nearest("instuction", ["instruction", "output"]) == "did you mean 'instruction'?"


def test_names_are_listed_when_none_is_near():
    assert nearest("zzz", ["b", "a"]) == "known names: a, b"


def test_a_long_list_of_names_is_truncated_and_the_rest_counted():
    hint = nearest("zzz", [f"file-{number:03}.jsonl" for number in range(300)])
    assert hint.endswith(f"file-{MOST_NAMES - 1:03}.jsonl and {300 - MOST_NAMES} more")
    assert hint.count(".jsonl") == MOST_NAMES


def test_without_names_there_are_none_and_a_list_of_just_so_many_is_whole():
    assert nearest("x", []) == "there are none yet"
    assert nearest("zzz", ["a", "b"], most=2) == "known names: a, b"
    assert nearest("zzz", ["a", "b"], most=1) == "known names: a and 1 more"
