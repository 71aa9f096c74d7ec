"""Words that data are written in: roles, labels, transcripts and placeholders, every one that is known."""

import pytest

from burnish.data.formats.labels import label_of
from burnish.data.formats.media import refuse_media
from burnish.data.formats.rest import keep_rest
from burnish.data.formats.roles import role_of, roles_in
from burnish.data.formats.transcript import is_transcript, transcribed
from burnish.data.record import RowError

ROLES = {
    "system": "system developer",
    "user": "user human prompter",
    "assistant": "assistant gpt chatgpt ai bot chatbot model",
    "function_call": "function_call tool_call",
    "tool": "tool function observation function_response tool_response ipython",
}
KNOWN = (
    "system, developer, user, human, prompter, assistant, gpt, chatgpt, ai, bot, chatbot, model, function_call, "
    "tool_call, tool, function, observation, function_response, tool_response, ipython"
)


@pytest.mark.parametrize("role", ROLES)
def test_every_word_for_a_role_is_known_in_any_case(role):
    for word in ROLES[role].split():
        for written in (word, word.upper(), f" {word.title()}\n"):
            assert role_of(written, {}, "p") == role


def test_the_roles_of_a_setting_come_first_and_as_they_are_written():
    roles = {"Klant": "user", "user": "assistant"}
    assert (role_of("Klant", roles, "p"), role_of("user", roles, "p")) == ("user", "assistant")
    assert role_of("USER", roles, "p") == "user"


@pytest.mark.parametrize(
    ("written", "said"),
    [("klant", "'klant'"), (None, "None"), (7, "7"), ("", "''"), ("x" * 70, "'" + "x" * 59)],
)
def test_an_unknown_role_lists_those_that_are_known(written, said):
    with pytest.raises(RowError) as caught:
        role_of(written, {"Klant": "user"}, "p")
    hint = "map it with `roles: {theirs: ours}`"
    assert str(caught.value) == f"p: the role {said} is unknown: {hint} (known: {KNOWN})"


@pytest.mark.parametrize(
    ("raw", "roles"),
    [
        ({}, []),
        ({"role": "a", "from": "b", "text": "c"}, ["a", "b"]),
        ({"role": 7, "x": [{"from": "a"}, {"role": "b", "y": {"from": "c"}}]}, ["a", "b", "c"]),
        ({"x": ' [{"role": "a"}, {"from": "b"}]', "y": '{"role": "c"}'}, ["a", "b"]),
        ({"x": '[{"role": "a"', "y": '[{"role": "b"}]', "z": "role [{"}, ["b"]),
        ({"x": [None, 7, ["a"], [[{"role": "a"}]]]}, ["a"]),
    ],
)
def test_the_roles_of_a_row_are_found_at_any_depth(raw, roles):
    assert sorted(roles_in(raw)) == roles


def test_every_word_for_a_label_is_known_in_any_case():
    wanted = ["true", "1", "1.0", "yes", "good", "desirable", "positive", "chosen", "thumbs_up"]
    unwanted = ["false", "0", "0.0", "no", "bad", "undesirable", "negative", "rejected", "thumbs_down"]
    for label, words in ((True, wanted), (False, unwanted)):
        for word in words:
            for written in (word, word.upper(), f" {word.title()}\n"):
                assert label_of(written) is label
    assert [label_of(value) for value in (True, 1, 1.0, False, 0, 0.0)] == [True] * 3 + [False] * 3
    assert [label_of(value) for value in (2, 0.5, "", "maybe", None, [], [True], {"a": 1})] == [None] * 8


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("Human: a\n\nAssistant: b", ["user a", "assistant b"]),
        ("\nHuman: a\n\nAssistant: b\n", ["user a", "assistant b"]),
        ("Human:a\n\n \tAssistant:\tb", ["user a", "assistant b"]),
        ("Human: a\n\nHuman: b\n\nAssistant: c", ["user a", "user b", "assistant c"]),
        ("Human: a \n\n\nc\n\nAssistant: b ", ["user a \n\n\nc", "assistant b"]),
        ("Human: a Assistant: b\n\nAssistant: c\nHuman: d", ["user a Assistant: b", "assistant c\nHuman: d"]),
        ("Human: a\n\nAssistant:", ["user a"]),
        ("Human: a\n\nAssistant: \n\nHuman: b", ["user a", "assistant ", "user b"]),
        ("Human: a\n\nAssistant: b\n\nHuman: ", ["user a", "assistant b", "user "]),
        ("Human: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:", ["user a", "assistant b", "user c"]),
        ("### Human: a### Assistant: b", ["user a", "assistant b"]),
        (" ###Human: a ###Assistant: b\n### Human: c\n\nHuman: d", ["user a", "assistant b", "user c\n\nHuman: d"]),
    ],
)
def test_a_transcript_is_cut_where_a_speaker_begins(text, turns):
    assert is_transcript(text) is True
    assert [f"{turn['role']} {turn['content']}" for turn in transcribed(text, "p")] == turns
    assert all(set(turn) == {"role", "content"} for turn in transcribed(text, "p"))


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "Human: a",
        "Assistant: a",
        "Assistant: a\n\nHuman: b",
        "Say Human: a\n\nAssistant: b",
        "Human: a Assistant: b",
        "Human: a\nAssistant: b",
        "### Human: a\n\nAssistant: b",
        "Human: a### Assistant: b",
    ],
)
def test_other_texts_are_no_transcripts(value):
    assert is_transcript(value) is False


def test_a_text_that_does_not_begin_with_a_person_is_no_transcript():
    with pytest.raises(RowError) as caught:
        transcribed("Assistant: a", "p")
    assert str(caught.value) == "p: a transcript begins with 'Human:'"


def test_keys_that_are_not_used_and_not_null_are_kept_under_their_path():
    extra = {"p.old": 0}
    keep_rest({"a": 1, "b": 2, "c": None, "d": "", "e": 0}, {"a", "x"}, "p", extra)
    assert extra == {"p.old": 0, "p.b": 2, "p.d": "", "p.e": 0}


PLACEHOLDER = "only text is trained on, leave such rows out"


@pytest.mark.parametrize("name", ["messages", "chosen", "rejected", "completion"])
@pytest.mark.parametrize("kind", ["image", "video", "audio"])
def test_a_placeholder_of_media_is_refused_by_its_turn(name, kind):
    turns = [{"content": "a"}, {"content": f"<{kind}>b</{kind}>"}, {"content": f"See <{kind}>"}]
    refuse_media({}, {name: turns[:2], "other": turns})
    with pytest.raises(RowError) as caught:
        refuse_media({}, {name: turns})
    assert str(caught.value) == f"{name}.2: the text holds the placeholder <{kind}>: {PLACEHOLDER}"


@pytest.mark.parametrize("name", ["image", "images", "video", "videos", "audio", "audios"])
def test_a_column_of_media_is_refused_with_a_way_out(name):
    refuse_media({name: [], "picture": "x"}, {"messages": None})
    with pytest.raises(RowError) as caught:
        refuse_media({name: "x"}, {})
    assert str(caught.value) == (
        f"{name}: the row has '{name}': only text is trained on; leave such rows out, or where it only describes the "
        f"row rename it with `columns: {{{name}: {name}_file}}`"
    )
