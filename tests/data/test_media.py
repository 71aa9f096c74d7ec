"""Images, video and audio are refused by name in every layout, never trained as text."""

import pytest

from burnish.data.formats import FORMATS
from burnish.data.formats.media import MEDIA
from burnish.data.record import RowError
from layouts import EXAMPLES
from layouts.turns import BOT, USER


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("column", MEDIA)
def test_a_column_of_media_refuses_the_row(name, column):
    raw, _ = EXAMPLES[name]
    format = FORMATS[name.split(" ")[0]]
    with pytest.raises(RowError, match="only text is trained on") as caught:
        format.read(raw | {column: ["cat.png"]}, "x:1")
    assert caught.value.field == column
    for empty in (None, [], ""):
        format.read(raw | {column: empty}, "x:1")


@pytest.mark.parametrize("text", ["<image>What is this?", "Look: <video>", "<audio>\n"])
def test_a_placeholder_in_the_text_refuses_the_row(text):
    for format, raw in {
        "messages": {"messages": [{"role": "user", "content": text}, BOT]},
        "prompt_response": {"prompt": text, "response": "A cat"},
        "preference": {"prompt": "Hi", "chosen": text, "rejected": "b"},
        "kto": {"prompt": "Hi", "completion": text, "label": True},
    }.items():
        with pytest.raises(RowError, match="holds the placeholder"):
            FORMATS[format].read(raw, "x:1")


def test_markup_is_no_placeholder():
    FORMATS["messages"].read({"messages": [USER, {**BOT, "content": "<video><source></video>"}]}, "x:1")


@pytest.mark.parametrize("kind", ["image", "image_url", "input_image", "input_audio", "video", "file", "document"])
def test_a_part_that_is_no_text_refuses_the_row(kind):
    part = {"type": kind, kind: {"url": "cat.png"}}
    for role in ("user", "tool"):
        turns = [{"role": role, "content": [{"type": "text", "text": "What?"}, part]}, BOT]
        if role == "tool" and kind == "document":
            continue  # data of a tool may have any type
        with pytest.raises(RowError, match=f"a part of type '{kind}' is not text"):
            FORMATS["messages"].read({"messages": turns}, "x:1")


def test_media_beside_the_content_of_a_turn_refuse_the_row():
    with pytest.raises(RowError) as caught:
        FORMATS["messages"].read({"messages": [{**USER, "images": ["cat.png"]}, BOT]}, "x:1")
    assert caught.value.field == "messages.0.images"
