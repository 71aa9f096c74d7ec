"""The file `.env` is rewritten with all that a change does not name, and what is written is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.access.env_file import variables_of, with_variables

TEXT = """\ufeff# keys of the lab\r
export HF_TOKEN = 'old' # of Ann\r
\r
not a line of anything\r
OTHER="a
HF_TOKEN=inside of a value"\r
WEBUI_PORT: 3000\r
#WANDB_MODE=online\r
# the end"""


def test_a_change_keeps_every_other_byte():
    found = with_variables(TEXT, {"HF_TOKEN": "new", "WEBUI_PORT": "3001"})
    assert found == TEXT.replace("'old'", "'new'").replace("3000", "3001")


def test_a_new_variable_follows_its_commented_line_or_the_last():
    found = with_variables(TEXT, {"WANDB_MODE": "offline", "HF_HOME": "/a b"})
    assert found == TEXT.replace("=online\r\n", "=online\r\nWANDB_MODE=offline\r\n") + "\r\nHF_HOME='/a b'\r\n"


def test_a_removed_variable_takes_its_line_alone():
    assert with_variables(TEXT, {"HF_TOKEN": None}) == TEXT.replace("export HF_TOKEN = 'old' # of Ann\r\n", "")
    assert with_variables("A=1\nB=2", {"B": None}) == "A=1\n"
    assert with_variables(TEXT, {"NOT_THERE": None}) == TEXT


def test_no_older_line_keeps_a_secret_that_was_replaced():
    text = "HF_TOKEN=first\nB=1\nHF_TOKEN=second\n"
    assert with_variables(text, {"HF_TOKEN": "third"}) == "B=1\nHF_TOKEN=third\n"
    assert with_variables(text, {"HF_TOKEN": None}) == "B=1\n"


@pytest.mark.parametrize("before", ["A=1", "A='1' # c", 'A="1" # c', "export A: 1 # c", ""])
@given(value=st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1))
def test_what_is_written_is_read_back(before, value):
    value = value.strip() or "x"
    text = with_variables(f"{before}\nLAST=$KEPT", {"A": value})
    assert variables_of(text, {"KEPT": "kept"}) == {"A": value, "LAST": "kept"}
    assert ("# c" in text) == ("# c" in before)
