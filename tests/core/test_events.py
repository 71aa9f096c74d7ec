"""The event log: complete lines, tolerance of partial ones, masked secrets, offsets to continue from."""

import json
import math
import os
import threading

import pytest

from burnish.core import events
from burnish.core.events import EventLog, Metric, Note, Progress, StateChanged, read_events


def texts(log):
    return [event.text for event, _ in log.read()]


def test_what_is_appended_is_read_back_in_order(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    sent = [Note(text="é \n"), Progress(phase="p", done=1, total=2), Metric(step=1, values={"loss": 1.5})]
    for event in sent:
        log.append(event)
    assert read_events(log.path) == sent


def test_a_reader_continues_at_its_offset(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Note(text="one"))
    *_, (_, offset) = log.read()
    log.append(Note(text="two"))
    assert [event.text for event, _ in log.read(offset)] == ["two"]


def test_a_partial_last_line_is_read_once_it_is_complete(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Note(text="one"))
    whole = log.path.read_bytes()
    line = json.dumps(Note(text="two").model_dump(mode="json")).encode()
    log.path.write_bytes(whole + line[:10])
    assert texts(log) == ["one"]
    log.path.write_bytes(whole + line + b"\n")
    assert texts(log) == ["one", "two"]


def test_after_a_partial_line_the_next_event_starts_a_new_line(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Note(text="one"))
    with log.path.open("ab") as file:
        file.write(b'{"kind":"note","te')
    log.append(Note(text="two"))
    assert texts(log) == ["one", "two"]


def test_invalid_and_unknown_events_are_skipped(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.path.write_bytes(b'\x00\xff\n[]\n{"kind":"from-the-future","at":1}\n')
    log.append(Note(text="one"))
    assert texts(log) == ["one"]


def test_a_file_truncated_at_any_byte_yields_only_complete_events(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for word in ("one", "two", "three"):
        log.append(Note(text=word))
    whole = log.path.read_bytes()
    for length in range(len(whole)):
        log.path.write_bytes(whole[:length])
        assert texts(log) == ["one", "two", "three"][: whole[:length].count(b"\n")]


def test_concurrent_writers_do_not_mix_their_lines(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    writers = [
        threading.Thread(target=lambda i=i: [EventLog(log.path).append(Note(text=f"{i}" * 200)) for _ in range(50)])
        for i in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(texts(log)) == 200
    assert all(len(set(text)) == 1 for text in texts(log))


def test_secrets_do_not_reach_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "environment-canary")
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Note(text="a environment-canary b " + "hf_" + "x" * 34))
    assert b"canary" not in log.path.read_bytes()
    assert b"xxxx" not in log.path.read_bytes()


def test_no_file_means_no_events(tmp_path):
    assert read_events(tmp_path / "absent.jsonl") == []
    assert not os.path.exists(tmp_path / "absent.jsonl")


def test_nan_and_infinity_are_written_as_valid_json(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Metric(step=1, values={"loss": float("nan"), "grad_norm": float("inf")}))
    line = log.path.read_text()
    json.loads(line, parse_constant=lambda word: pytest.fail(f"bare {word}"))
    [(event, _)] = log.read()
    assert math.isnan(event.values["loss"])
    assert event.values["grad_norm"] == math.inf


def test_a_log_that_is_removed_while_it_is_looked_for_has_no_events(tmp_path, monkeypatch):
    log = EventLog(tmp_path / "events.jsonl")
    monkeypatch.setattr(type(tmp_path), "exists", lambda _: True)
    assert list(log.read()) == []


def test_each_event_is_one_line_of_plain_json_and_the_file_is_as_readable_as_others(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    before = os.umask(0)
    try:
        log.append(Note(text="é", at=1.5))
    finally:
        os.umask(before)
    for event in (Progress(phase="p", done=1, at=2.0), StateChanged(state="planned", at=3.0)):
        log.append(event)
    assert log.path.read_text(encoding="utf-8") == (
        '{"at":1.5,"kind":"note","level":"info","text":"é"}\n'
        '{"at":2.0,"kind":"progress","phase":"p","done":1,"total":0,"unit":"rows"}\n'
        '{"at":3.0,"kind":"state","state":"planned","reason":""}\n'
    )
    assert log.path.stat().st_mode & 0o7777 == 0o644
    offsets = [offset for _, offset in log.read()]
    assert offsets == [52, 126, 182]
    assert [offset for _, offset in log.read(52)] == offsets[1:]


def test_the_partial_line_of_a_killed_writer_is_ended_once(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.path.write_bytes(b'{"kind"')
    log.append(Note(text="one", at=1.0))
    log.append(Note(text="two", at=1.0))
    assert log.path.read_text().splitlines() == [
        '{"kind"',
        *(f'{{"at":1.0,"kind":"note","level":"info","text":"{word}"}}' for word in ("one", "two")),
    ]
    assert texts(log) == ["one", "two"]


def test_an_event_that_another_process_writes_in_between_is_kept(tmp_path):
    class Late(EventLog):
        def _ends_with_newline(self):
            EventLog(self.path).append(Note(text="in between, and longer than the other"))
            return True

    log = Late(tmp_path / "events.jsonl")
    EventLog(log.path).append(Note(text="first"))
    log.append(Note(text="last"))
    assert texts(log) == ["first", "in between, and longer than the other", "last"]


def test_an_event_cannot_be_changed_and_nothing_stays_open(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    before = os.listdir("/proc/self/fd")
    log.append(Note(text="a"))
    list(log.read())
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ValueError, match="frozen"):
        read_events(log.path)[0].text = "b"


def test_an_event_with_half_of_a_surrogate_pair_is_kept(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Note(text="a\ud83db"))
    assert [event.text for event, *_ in log.read()] == ["a\ufffdb"]


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 18])
@pytest.mark.parametrize(
    "text", [b"", b"\n", b"a", b"a\n", b"a\nbc\n\nlonger than a block\nd", b"x\r\ny\n", b"\nab\nc\n"]
)
def test_lines_from_the_end_are_those_from_the_start(tmp_path, monkeypatch, block, text):
    monkeypatch.setattr(events, "_BLOCK", block)
    log = EventLog(tmp_path / "events.jsonl")
    assert list(log.lines_back()) == []
    log.path.write_bytes(text)
    whole, expected, end = text[: text.rfind(b"\n") + 1], [], 0
    for line in whole.split(b"\n")[:-1]:
        end += len(line) + 1
        expected.append((line + b"\n", end))
    assert list(log.lines_back()) == expected[::-1]
