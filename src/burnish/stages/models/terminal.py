"""A chat in the terminal, whatever answers: its options, the commands of a session, one question for a script."""

import argparse
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from burnish.core.errors import AskError
from burnish.core.faults import as_burnish_error
from burnish.core.paths import expanded
from burnish.core.printable import printable
from burnish.core.recipes.validation import make_spec
from burnish.core.secrets import mask
from burnish.specs.evals import GenerationSpec

_SHOWN = 60
"""Characters of a refused text."""
HELP = """/reset         forget the conversation
/system TEXT   set the system message; without a text, take it away
/save FILE     append the conversation to a JSONL file, as a row that can be trained on
/quit          end (so does Ctrl-D); Ctrl-C stops an answer"""


class Dialog:
    """The turns so far. A subclass answers them."""

    def __init__(self, system: str | None = None):
        self.system = system
        self.turns: list[dict[str, Any]] = []

    def pieces(self) -> Iterator[str]:
        """Stream the answer to `messages`, as text to show."""
        raise NotImplementedError

    def turn(self, shown: str) -> dict[str, Any]:
        """The assistant's turn, from what was shown of the answer."""
        return {"role": "assistant", "content": shown}

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation as the messages of a training row."""
        return ([{"role": "system", "content": self.system}] if self.system else []) + self.turns

    def ask(self, text: str) -> Generator[str, None, None]:
        """Stream the answer. The text streamed so far becomes the assistant's turn when the stream ends or is closed.

        A question that cannot be sent (too long, with a special token in it, or not UTF-8) is forgotten, and its error
        raised.
        """
        refuse_undecodable(text)
        self.turns.append({"role": "user", "content": text})
        written: list[str] = []
        try:
            for piece in self.pieces():
                written.append(piece)
                yield piece
        except Exception:
            self.turns.pop()
            written.clear()
            raise
        finally:
            if self.turns and self.turns[-1]["role"] == "user":
                self.turns.append(self.turn("".join(written)))

    def reset(self) -> None:
        """Forget the turns; the system message stays."""
        self.turns.clear()

    def save(self, path: Path) -> None:
        """Append the conversation to a JSONL file."""
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"messages": self.messages}, ensure_ascii=False) + "\n")


def refuse_undecodable(text: str) -> None:
    """AskError `ask.wrong-value` for a text with bytes that were not decoded."""
    place = next((place for place, letter in enumerate(text, start=1) if "\ud800" <= letter <= "\udfff"), None)
    if place is not None:
        shown = printable(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
        what = f"the text is not UTF-8 at character {place}: {shown}"
        raise AskError("ask.wrong-value", what, "write it in UTF-8, for example with iconv -t utf-8")


def options(what: str) -> argparse.ArgumentParser:
    """A parser with the options of every chat; `what` describes the chat."""
    parser = argparse.ArgumentParser(prog="burnish chat", description=what)
    parser.add_argument("model", help="what answers, as JSON")
    parser.add_argument("--ask", help="ask one question, print the answer, and end")
    parser.add_argument("--json", action="store_true", help="print question and answer as JSON")
    parser.add_argument("--system", help="the system message")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="the seed of sampling; random by default")
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def chat(
    given: argparse.Namespace, name: str, start: Callable[[GenerationSpec], Dialog], title: Callable[[], str]
) -> int:
    """Answer one question, or chat until the user ends it; returns the exit status. `title` is that of a session."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with SIGINT ignored
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if stream is sys.stdin else "replace")
    console = Console(highlight=False, soft_wrap=True)
    try:
        for given_text in filter(None, (given.ask, given.system)):
            refuse_undecodable(given_text)
        seed = int.from_bytes(os.urandom(4)) if given.seed is None else given.seed
        sampling = {"temperature": given.temperature, "seed": seed}
        sampling |= {"top_p": given.top_p} if given.top_p != 1.0 else {}
        generation = make_spec(GenerationSpec, {"max_new_tokens": given.max_new_tokens, **sampling}, lambda _: "chat")
        dialog = start(generation)
        if given.json:
            answer = "".join(dialog.ask(given.ask))
            print(json.dumps({"model": name, "question": given.ask, "answer": answer}))
        elif given.ask is not None:
            for piece in dialog.ask(given.ask):
                _show(console, piece)
            console.print()
        else:
            console.print(f"[bold]{title()}[/]\n[dim]/help lists the commands[/]")
            _talk(dialog, console, given.debug)
    except Exception as error:
        return _print_error(error, given.debug)
    except KeyboardInterrupt:
        return 130
    return 0


def print_note(text: str) -> None:
    """Print a note on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"note: {printable(text)}", style="dim"))


def _talk(dialog: Dialog, console: Console, debug: bool) -> None:
    with suppress(ImportError):
        import readline  # noqa: F401  (editing and history of the input line)
    while True:
        try:
            line = console.input("[bold green]you ›[/] ").strip()
        except EOFError:
            console.print()
            return
        except KeyboardInterrupt:
            console.print("\n[dim]/quit ends[/]")
            continue
        command, _, rest = line.partition(" ")
        if command in ("/quit", "/exit"):
            return
        if command.startswith("/"):
            try:
                console.print(Text(_obey(dialog, command, rest.strip()), style="dim"))
            except AskError as error:
                _print_error(error, debug)
        elif line:
            _answer(dialog, console, line, debug)


def _obey(dialog: Dialog, command: str, rest: str) -> str:
    """Run a command, a line that starts with a slash, and report the result."""
    if command == "/reset":
        dialog.reset()
        return "a new conversation"
    if command == "/system":
        refuse_undecodable(rest)
        dialog.system = rest or None
        return "system message set" if rest else "no system message"
    if command == "/save" and rest:
        try:
            dialog.save(expanded(rest))
        except (OSError, AskError) as error:
            return f"not saved: {error.what if isinstance(error, AskError) else error}"
        return f"appended to {rest}"
    wrong = {"/help": "", "/save": "name a file:\n"}.get(command, f"there is no command {command}:\n")
    return f"{wrong}{HELP}"


def _answer(dialog: Dialog, console: Console, question: str, debug: bool) -> None:
    answer = dialog.ask(question)
    try:
        for piece in answer:
            _show(console, piece)
        console.print()
    except KeyboardInterrupt:
        answer.close()
        console.print("[dim] … stopped[/]")
    except Exception as error:
        _print_error(error, debug)


def _show(console: Console, piece: str) -> None:
    """Print as it comes; control characters, which could control the terminal, are escaped."""
    console.print(Text(printable(piece)), end="")


def _print_error(error: Exception, debug: bool) -> int:
    """Print the error with its fix, with `debug` its traceback; returns its exit status."""
    known = as_burnish_error(error, "run it again with --debug to see the traceback")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if debug:
        sys.stderr.write(mask("".join(traceback.format_exception(error))))
    console.print(Text.assemble(("error: ", "bold red"), printable(known.what)))
    console.print(Text.assemble(("hint: ", "bold"), printable(known.fix)))
    return known.exit_status
