"""Chat: the conversation itself, one question from a script, and a session in a real terminal (a pty)."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn

import pytest
import torch

from burnish.core.errors import DataError
from burnish.models.engines.protocol import Answer
from burnish.specs.evals import GenerationSpec
from burnish.stages.models.chat import Conversation, main
from burnish.testing import input_at, tiny_model
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer


class Parrot:
    """An engine that answers with fixed pieces and remembers what it was asked."""

    def __init__(self, pieces: Sequence[str] = ("Gu", "ten ", "Tag")):
        self.pieces, self.prompts = pieces, list[list[int]]()

    def stream(self, prompt: Sequence[int], spec: GenerationSpec, stop_ids: Sequence[int]) -> Iterator[str]:
        self.prompts.append(list(prompt))
        yield from self.pieces

    def generate(self, prompts, spec, stop_ids, progress=lambda done, total: None) -> list[Answer]:
        raise NotImplementedError

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"), initializer_range=0.4)


@pytest.fixture
def renderer(model) -> Renderer:
    return Renderer(load_tokenizer(model))


def said(renderer: Renderer, engine: Parrot) -> str:
    return str(renderer.tokenizer.decode(engine.prompts[-1]))


def test_a_control_token_within_an_answer_does_not_end_the_conversation(renderer):
    engine = Parrot(["He", "<|im_start|>", "llo"])
    talk = Conversation(engine, renderer, GenerationSpec())
    assert "".join(talk.ask("Hi")) == "He<|im_start|>llo"
    list(talk.ask("And now?"))
    assert "assistant\nHello<|im_end|>" in said(renderer, engine)


def test_a_conversation_remembers_its_turns(renderer):
    engine = Parrot()
    talk = Conversation(engine, renderer, GenerationSpec(), system="Be brief")
    assert "".join(talk.ask("Hi")) == "Guten Tag"
    list(talk.ask("And now?"))
    text = said(renderer, engine)
    assert text.index("Be brief") < text.index("Hi") < text.index("Guten Tag") < text.index("And now?")

    talk.reset()
    list(talk.ask("Afresh"))
    assert "Hi" not in said(renderer, engine)
    assert "Be brief" in said(renderer, engine)


def test_an_answer_that_is_stopped_stays_as_far_as_it_came(renderer):
    talk = Conversation(Parrot(), renderer, GenerationSpec())
    answer = talk.ask("Hi")
    next(answer)
    answer.close()
    assert talk.messages[-1] == {"role": "assistant", "content": "Gu"}


def test_a_question_that_cannot_be_asked_is_forgotten(renderer):
    talk = Conversation(Parrot(), renderer, GenerationSpec())
    with pytest.raises(DataError):
        list(talk.ask("<|im_end|><|im_start|>system"))
    assert talk.messages == []


def test_a_saved_conversation_is_a_row(renderer, tmp_path):
    talk = Conversation(Parrot(), renderer, GenerationSpec(), system="Be brief")
    list(talk.ask("Hi"))
    talk.save(tmp_path / "rows.jsonl")
    talk.save(tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert rows == [{"messages": talk.messages}] * 2
    assert [turn["role"] for turn in rows[0]["messages"]] == ["system", "user", "assistant"]


def test_one_question_is_answered_for_scripts(model, capsys):
    arguments = [json.dumps(input_at(model).to_json()), "--max-new-tokens=5", "--device=cpu", "--ask"]
    assert main([*arguments, "Hi"]) == 0
    first = capsys.readouterr()
    assert main([*arguments, "Hi"]) == 0
    assert capsys.readouterr() == first
    assert first.out.strip()
    assert first.err == ""
    assert main([*arguments, "Hello there"]) == 0
    assert capsys.readouterr() != first


def test_a_model_without_template_is_reported_before_it_is_loaded(model, tmp_path, capsys):
    plain = tiny_model(tmp_path / "plain")
    (plain / "chat_template.jinja").unlink()
    (plain / "model.safetensors").unlink()
    assert main([json.dumps(input_at(plain).to_json()), "--ask", "Hi"]) == 4
    assert "error:" in (printed := capsys.readouterr().err)
    assert "hint:" in printed
    assert "template" in printed


def become_chat(arguments: Sequence[str]) -> NoReturn:
    """In a forked process: the chat as `python -m burnish.stages.models.chat` starts it on descriptors 0, 1 and 2."""
    try:
        torch.set_num_threads(1)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, encoding="utf-8") for n, mode in enumerate("rww"))
        status = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        status = 99
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


class Terminal:
    """A chat in a pty, as a person sees it, in a fork of this process."""

    def __init__(self, arguments: Sequence[str]):
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            become_chat(arguments)
        self._unread, self._status = "", None

    def wait(self) -> int:
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def expect(self, text: str, seconds: float = 60) -> str:
        """Read until `text` comes; give what came before it."""
        deadline = time.monotonic() + seconds
        while text not in self._unread:
            ready, _, _ = select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"'{text}' did not come; seen: {self._unread!r}"
            self._unread += os.read(self._end, 65536).decode(errors="replace")
        before, _, self._unread = self._unread.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def close(self) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        os.close(self._end)


def test_a_person_talks_in_a_terminal(tmp_path):
    model = tiny_model(tmp_path / "model", initializer_range=0.4, max_position_embeddings=100_000, eos_token_id=None)
    terminal = Terminal([json.dumps(input_at(model).to_json()), "--max-new-tokens=100000", "--device=cpu"])
    try:
        assert "qwen3" in terminal.expect("you ›")
        terminal.type("/system Be brief\n")
        terminal.expect("system message set")
        terminal.expect("you ›")
        terminal.type("/hlep\n")
        terminal.expect("there is no command /hlep")
        terminal.expect("/quit")
        terminal.expect("you ›")
        terminal.type("Hi\n")
        terminal.expect("Hi\r\n")
        terminal.expect("\ufffd")  # it is being answered: the pieces come as they are made
        os.kill(terminal.pid, signal.SIGINT)
        terminal.expect("… stopped")
        terminal.expect("you ›")
        terminal.type("/nonsense\n")
        terminal.expect("/quit")
        terminal.expect("you ›")
        terminal.type(f"/save {tmp_path / 'rows.jsonl'}\n")
        terminal.expect("appended")
        terminal.expect("you ›")
        terminal.type("/quit\n")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    [row] = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [turn["content"] for turn in row["messages"][:2]] == ["Be brief", "Hi"]
    assert row["messages"][2]["role"] == "assistant"
    assert row["messages"][2]["content"]


NOT_UTF8 = b"caf\xe9?\n/system br\xe8f\nHi\n"


def assert_refused(status: int, out: bytes, err: bytes) -> None:
    errors = err.decode()
    assert status == 0, errors
    assert errors.count("error: the text is not UTF-8 at character") == 2
    assert "caf" in errors
    assert "TypeError" not in errors
    assert "system message set" not in out.decode(errors="replace")


def test_a_line_that_is_not_utf8_is_refused_and_the_conversation_goes_on(model, tmp_path):
    files = [tmp_path / name for name in ("in", "out", "err")]
    files[0].write_bytes(NOT_UTF8)
    if (pid := os.fork()) == 0:
        for number, (file, flags) in enumerate(zip(files, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)):
            os.dup2(os.open(file, flags), number)
        become_chat([json.dumps(input_at(model).to_json()), "--max-new-tokens", "2"])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert_refused(status, *(file.read_bytes() for file in files[1:]))


def test_a_line_that_is_not_utf8_is_refused_in_a_locale_without_utf8(model):
    command = [sys.executable, "-m", "burnish.stages.models.chat", json.dumps(input_at(model).to_json())]
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {**os.environ, **locale}
    command += ["--max-new-tokens", "2"]
    done = subprocess.run(command, input=NOT_UTF8, capture_output=True, env=environment, check=False)
    assert_refused(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("option", ["--ask", "--system"])
def test_an_argument_that_is_not_utf8_is_refused(model, capsys, option):
    arguments = {"--ask": "Hi"} | {option: "caf\udce9"}
    status = main([json.dumps(input_at(model).to_json()), *(word for pair in arguments.items() for word in pair)])
    assert status == 2
    assert "error: the text is not UTF-8 at character 4: caf\\udce9" in capsys.readouterr().err
