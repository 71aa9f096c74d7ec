"""Values on disk by key: what was changed, or is under another key, is not used."""

import pytest

from burnish.core.runs.cache import JsonCache

KEY = "ab" * 32


@pytest.mark.parametrize("value", [{"a": [1, None, "\ud800"]}, [], "", 0, {"nested": {"é": 1.5}}])
def test_a_value_is_read_as_it_was_stored(tmp_path, value):
    cache = JsonCache(tmp_path, "reply")
    assert (cache.get(KEY), cache.has(KEY)) == (None, False)
    cache.put(KEY, value)
    assert (cache.get(KEY), cache.has(KEY), cache.damaged) == (value, True, 0)


@pytest.mark.parametrize(
    "change", [lambda text: "", lambda text: "[1]", lambda text: text.replace("1", "2"), str.upper]
)
def test_a_damaged_file_is_counted_and_replaced(tmp_path, change):
    cache = JsonCache(tmp_path, "reply")
    cache.put(KEY, {"a": 1})
    (file,) = tmp_path.rglob("*.json")
    file.write_text(change(file.read_text()))
    assert (cache.get(KEY), cache.damaged) == (None, 1)
    cache.put(KEY, {"a": 1})
    assert cache.get(KEY) == {"a": 1}


def test_a_file_under_another_key_is_not_used(tmp_path):
    cache = JsonCache(tmp_path, "reply")
    cache.put(KEY, {"a": 1})
    (file,) = tmp_path.rglob("*.json")
    file.rename(file.with_name(f"{'ab' + 'c' * 62}.json"))
    assert (cache.get("ab" + "c" * 62), cache.damaged) == (None, 1)
