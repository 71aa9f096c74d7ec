"""chat: talk to a model in the terminal. The command line starts it as its own process, attached to the terminal.

python -m burnish.stages.models.chat INPUT_JSON [--ask TEXT] [--system TEXT] [--temperature N] [--max-new-tokens N]
"""

import argparse
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.events import Chosen, Event, Note
from burnish.core.faults import as_burnish_error
from burnish.core.paths import expanded
from burnish.core.printable import printable
from burnish.core.recipes.validation import make_spec
from burnish.core.secrets import mask
from burnish.models.bases import chain_of, folder_of, tokenizer_folder
from burnish.models.device import inference_dtype, pick_device
from burnish.models.engines.protocol import Engine
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import describe, load_model
from burnish.models.quantization.layers import report
from burnish.specs.evals import GenerationSpec
from burnish.specs.tokens import RenderSpec
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer

_SHOWN = 60
"""Characters of a refused text."""
HELP = """/reset         forget the conversation
/system TEXT   set the system message; without a text, take it away
/save FILE     append the conversation to a JSONL file, as a row that can be trained on
/quit          end (so does Ctrl-D); Ctrl-C stops an answer"""


class Conversation:
    """The turns so far, and the engine that continues them."""

    def __init__(self, engine: Engine, renderer: Renderer, generation: GenerationSpec, system: str | None = None):
        self._engine, self._renderer, self._generation = engine, renderer, generation
        self.system = system
        self.turns: list[dict[str, Any]] = []

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
            _, ids = self._renderer.prompt(self.messages)
            for piece in self._engine.stream(ids, self._generation, self._renderer.stop_ids):
                written.append(piece)
                yield piece
        except Exception:
            self.turns.pop()
            written.clear()
            raise
        finally:
            if written:
                self.turns.append({"role": "assistant", "content": "".join(written)})
            elif self.turns and self.turns[-1]["role"] == "user":
                self.turns.append({"role": "assistant", "content": ""})

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one question, or chat until the user ends it; returns the exit status."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with SIGINT ignored
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if stream is sys.stdin else "replace")
    console = Console(highlight=False, soft_wrap=True)
    try:
        for given_text in filter(None, (given.ask, given.system)):
            refuse_undecodable(given_text)
        source = Input.from_json(json.loads(given.model))
        seed = int.from_bytes(os.urandom(4)) if given.seed is None else given.seed
        sampling = {"temperature": given.temperature, "seed": seed}
        sampling |= {"top_p": given.top_p} if given.top_p != 1.0 else {}
        generation = make_spec(GenerationSpec, {"max_new_tokens": given.max_new_tokens, **sampling}, lambda _: "chat")
        conversation = _open(source, generation, given.system, given.device, given.date)
        if given.json:
            answer = "".join(conversation.ask(given.ask))
            print(json.dumps({"model": source.ref, "question": given.ask, "answer": answer}))
        elif given.ask is not None:
            for piece in conversation.ask(given.ask):
                _show(console, piece)
            console.print()
        else:
            console.print(f"[bold]{_title(source)}[/]\n[dim]/help lists the commands[/]")
            _talk(conversation, console, given.debug)
    except Exception as error:
        return _print_error(error, given.debug)
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="burnish chat", description="Talk to a model or adapter in the terminal.")
    parser.add_argument("model", help="a resolved input, as JSON")
    parser.add_argument("--ask", help="ask one question, print the answer, and end")
    parser.add_argument("--json", action="store_true", help="print question and answer as JSON")
    parser.add_argument("--system", help="the system message")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="the seed of sampling; random by default")
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("--date", default="auto", help="what the chat template prints as the date; auto is today")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def _open(source: Input, generation: GenerationSpec, system: str | None, device: str, date: str) -> Conversation:
    """Load everything; a tokenizer without a chat template is reported before the model is loaded."""
    tokenizer = load_tokenizer(tokenizer_folder(source))
    renderer = Renderer(tokenizer, make_spec(RenderSpec, {"date": date}, lambda _: "--date"))
    if renderer.date is not None:
        text = f"the chat template prints the date: {renderer.date}" + ", today" * (date == "auto")
        _note(f"{text}; --date sets another")
    renderer.prompt([{"role": "user", "content": "?"}])
    place = pick_device(device)
    model = load_model(source, dtype=inference_dtype(place), device=place)
    for note in report(model):
        _report(note)
    engine = TransformersEngine(model, tokenizer, _report)
    return Conversation(engine, renderer, generation, system)


def _report(event: Event) -> None:
    """Notes of the engine about the model."""
    if isinstance(event, Note):
        _note(event.text)
    elif isinstance(event, Chosen):
        _note(f"{event.field}: {event.value} ({event.reason})")


def _note(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"note: {printable(text)}", style="dim"))


def _title(source: Input) -> str:
    """Which model this is: family, size, and the base of an adapter."""
    base = chain_of(source)[-1]
    card = describe(folder_of(base))
    on = "" if base is source else f", an adapter on {base.ref if isinstance(base, Input) else base}"
    return f"{source.ref}{on} ({card.family}, {card.parameters:,} parameters)"


def _talk(conversation: Conversation, console: Console, debug: bool) -> None:
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
                console.print(Text(_obey(conversation, command, rest.strip()), style="dim"))
            except AskError as error:
                _print_error(error, debug)
        elif line:
            _answer(conversation, console, line, debug)


def _obey(conversation: Conversation, command: str, rest: str) -> str:
    """Run a command, a line that starts with a slash, and report the result."""
    if command == "/reset":
        conversation.reset()
        return "a new conversation"
    if command == "/system":
        refuse_undecodable(rest)
        conversation.system = rest or None
        return "system message set" if rest else "no system message"
    if command == "/save" and rest:
        try:
            conversation.save(expanded(rest))
        except (OSError, AskError) as error:
            return f"not saved: {error.what if isinstance(error, AskError) else error}"
        return f"appended to {rest}"
    return HELP


def _answer(conversation: Conversation, console: Console, question: str, debug: bool) -> None:
    answer = conversation.ask(question)
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


if __name__ == "__main__":
    sys.exit(main())
