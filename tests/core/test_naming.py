"""The hint that suggests a name for an unknown one."""

from burnish.core.naming import nearest


def test_the_nearest_name_is_suggested():
    assert nearest("instuction", ["instruction", "output"]) == "did you mean 'instruction'?"


def test_names_are_listed_when_none_is_near():
    assert nearest("zzz", ["b", "a"]) == "known names: a, b"


def test_a_long_list_of_names_is_truncated_and_the_rest_counted():
    names = [f"file-{number:03}.jsonl" for number in range(300)]
    assert nearest("zzz", reversed(names)) == f"known names: {', '.join(names[:16])} and 284 more"
    assert nearest("zzz", names[:16]) == f"known names: {', '.join(names[:16])}"
    assert nearest("zzz", names[:17]) == f"known names: {', '.join(names[:16])} and 1 more"


def test_without_names_there_are_none_and_a_list_of_just_so_many_is_whole():
    assert nearest("x", []) == "there are none yet"
    assert nearest("zzz", ["a", "b"], most=2) == "known names: a, b"
    assert nearest("zzz", ["a", "b"], most=1) == "known names: a and 1 more"


def test_of_several_near_names_the_nearest_is_suggested_and_a_far_one_never():
    assert nearest("learning_rte", ["learning_rates", "learning_rate", "learn"]) == "did you mean 'learning_rate'?"
    assert nearest("abcde", ["abcxy"]) == "did you mean 'abcxy'?"  # six of ten letters in common
    assert nearest("abcdef", ["abcxyz"]) == "known names: abcxyz"
