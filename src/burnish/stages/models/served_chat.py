"""chat with a model behind an endpoint: answers are streamed, the conversation stays here.

python -m burnish.stages.models.served_chat '{"url": …, "model": …, "key_env": …}' [--ask TEXT] [--system TEXT]
"""

import http.client
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from burnish.core.errors import MachineError
from burnish.endpoints.faults import said_in
from burnish.endpoints.keys import authorization
from burnish.endpoints.listing import chosen_model, listed_models, no_answer, root_of
from burnish.endpoints.streams import Gathered, NotStreamedError, UnfinishedStreamError, stream_json
from burnish.specs.evals import GenerationSpec
from burnish.stages.models.served import with_calls
from burnish.stages.models.terminal import Dialog, chat, options, print_note

_SENT = ("role", "content")


class ServedDialog(Dialog):
    """A dialog that an endpoint continues. Calls of an answer are text in it; what it thinks is shown, and kept apart.

    `timeout` is in seconds, until the first piece and between two of them.
    """

    def __init__(
        self, url: str, fields: Mapping[str, Any], headers: Mapping[str, str], timeout: float, system: str | None = None
    ):
        super().__init__(system)
        self._url, self._fields, self._headers, self._timeout = f"{url}/chat/completions", fields, headers, timeout
        self._gathered = Gathered()

    def pieces(self) -> Iterator[str]:
        """Errors: MachineError `machine.no-answer`."""
        messages = [{key: turn[key] for key in _SENT} for turn in self.messages]
        body = json.dumps({**self._fields, "messages": messages, "stream": True}).encode()
        self._gathered = gathered = Gathered()
        thinks = False
        try:
            for chunk in stream_json(self._url, body, self._headers, self._timeout):
                text, reasoning = gathered.add(chunk)
                if reasoning:
                    yield reasoning if thinks else f"<think>\n{reasoning}"
                    thinks = True
                if text:
                    yield f"\n</think>\n{text}" if thinks else text
                    thinks = False
        except NotStreamedError as error:
            if error.posted.status != 200 or error.posted.body is None:
                raise no_answer(self._url, error.posted) from error
            what = f"{self._url} does not stream: {said_in(error.posted)}"
            raise MachineError(
                "machine.no-answer", what, "use generate, or judge, which ask for whole replies"
            ) from error
        except UnfinishedStreamError as error:
            if not gathered.reply.finish_reason:
                what = f"{self._url}: the answer was cut off after {gathered.chunks} pieces: {error}"
                raise MachineError("machine.no-answer", what, "read the server's log, and ask again") from error
        except (OSError, http.client.HTTPException) as error:
            raise no_answer(self._url, error) from error
        if thinks:
            yield "\n</think>\n"
        reply = gathered.reply
        if reply.tool_calls:
            yield ("\n" if reply.text else "") + with_calls("", reply.tool_calls)
        if reply.refusal:
            yield reply.refusal
        if reply.finish_reason not in ("stop", "tool_calls", ""):
            print_note(f"finish_reason: {reply.finish_reason}")

    def turn(self, shown: str) -> dict[str, Any]:
        reply = self._gathered.reply
        thought = {"reasoning_content": reply.reasoning} if reply.reasoning else {}
        return {"role": "assistant", "content": with_calls(reply.text, reply.tool_calls) or reply.refusal, **thought}


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one question, or chat until the user ends it; returns the exit status."""
    parser = options("Talk to a model behind an endpoint in the terminal.")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds between two pieces of an answer")
    given = parser.parse_args(arguments)
    asked = json.loads(given.model)
    chosen: list[str] = []

    def start(generation: GenerationSpec) -> Dialog:
        root, headers = root_of(asked["url"]), authorization(asked["key_env"])
        model = asked["model"]
        if model is None:
            model, note = chosen_model(listed_models(root, headers, given.timeout), root)
            if note:
                print_note(note)
        chosen.append(f"{model} at {root}")
        fields = {"model": model, "temperature": generation.temperature, "max_tokens": generation.max_new_tokens}
        if generation.temperature > 0:
            fields |= {"top_p": generation.top_p} if generation.top_p < 1 else {}
            fields |= {"seed": generation.seed % (1 << 31)}  # servers read a 32-bit integer
        return ServedDialog(root, fields, headers, given.timeout, given.system)

    return chat(given, asked["url"], start, lambda: chosen[0])


if __name__ == "__main__":
    sys.exit(main())
