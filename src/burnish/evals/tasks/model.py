"""A model of lm-evaluation-harness that answers with one of burnish's engines."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import has_bos_prefix, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from burnish.core.errors import AskError, DataError, ModelError
from burnish.evals.tasks.continuations import continuations
from burnish.models.engines.protocol import Engine
from burnish.specs.evals import GenerationSpec
from burnish.tokens.templates.dialect import Dialect

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tick = Callable[[str, int, int], None]
_LONGEST_ANSWER = 256
"""Tokens of an answer where the task sets none: lm-evaluation-harness's own."""
_NO_CONTEXT = 2048
"""Tokens of context for a model without a limit: lm-evaluation-harness's own."""
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "num_beams": (1,),
    "repetition_penalty": (1, 1.0),
    "no_repeat_ngram_size": (0,),
    "early_stopping": (False,),
    "num_return_sequences": (1,),
}
"""Settings of generation that are not applied, with the values that need not be."""


class EngineLM(TemplateLM):
    """Tokens are made as by lm-evaluation-harness's own class for transformers (HFLM); answers come from the engine."""

    backend = "causal"

    def __init__(
        self,
        engine: Engine,
        tokenizer: "PreTrainedTokenizerBase",
        *,
        context: int,
        template: str | None,
        day: date,
        batch_size: int,
        seed: int,
        tick: Tick,
    ):
        super().__init__()
        self.tokenizer: Any = tokenizer
        self.cut = 0
        """Prompts of which the beginning was cut off."""
        self._engine, self._context = engine, context if context < 1 << 30 else _NO_CONTEXT
        self._template, self._day = template, day
        self._batch_size, self._seed, self._tick = batch_size, seed, tick

    @property
    def eot_token_id(self) -> int:
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        """The token before a text without context: the start of a text, else its end. Errors: ModelError."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if isinstance(token, int):
                return token
        what = "the tokenizer has neither a token for the start of a text nor one for its end"
        raise ModelError("model.unsupported", what, "give the tokenizer a bos_token or an eos_token")

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        settings = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        if add_special_tokens is None and has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id)):
            settings = {"add_special_tokens": False}
        return self.tokenizer.encode(string, **settings)

    def count_tokens(self, text: str) -> int:
        return len(self.tok_encode(text))

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The text of a conversation; without generation prompt it ends within the last turn."""
        if self._template is None:
            raise ModelError(
                "model.no-template",
                "apply_chat_template is set, and the tokenizer has no chat template",
                "set apply_chat_template: false, or use a model with a chat template",
            )
        text = Dialect(self.tokenizer, self._template, self._day).trace(chat_history, None, add_generation_prompt).text
        if add_generation_prompt:
            return text
        last = chat_history[-1]["content"].rstrip()
        return text[: text.rindex(last) + len(last)]

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        return super().loglikelihood(requests, disable_tqdm=True)

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        pairs = [(before, after) for _, before, after in requests]
        for text, before, after in requests:
            if not after or len(after) > self._context:
                what = f"the answer {str((text or ('', ''))[1])[:80]!r} has {len(after)} tokens"
                fix = f"it needs at least one, and at most the model's context of {self._context}"
                raise DataError("data.too-long", what, fix)
            self.cut += len(before) + len(after) > self._context + 1
        return [(found.log_prob, found.is_greedy) for found in self._continued(pairs, "likelihoods")]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> list[float]:
        pairs: list[tuple[list[int], list[int]]] = []
        counts: list[int] = []
        for request in requests:
            tokens = self.tok_encode(request.args[0])
            windows = get_rolling_token_windows(tokens, self.prefix_token_id, self._context, 1)
            pairs += (found := list(map(make_disjoint_window, windows)))
            counts.append(len(found))
        values = iter([found.log_prob for found in self._continued(pairs, "texts")])
        return [sum(next(values) for _ in range(count)) for count in counts]

    def _continued(self, pairs: Sequence[tuple[list[int], list[int]]], phase: str) -> list[Any]:
        found: dict[int, Any] = {}
        for place, continuation in continuations(self._engine, pairs, self._context):
            if len(found) % 64 == 0:
                self._tick(phase, len(found), len(pairs))
            found[place] = continuation
        self._tick(phase, len(found), len(pairs))
        return [found[place] for place in range(len(pairs))]

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        settings = [self._settings(request.args[1]) for request in requests]
        prompts = [
            self._prompt(request.args[0], spec.max_new_tokens)
            for request, (spec, _) in zip(requests, settings, strict=True)
        ]
        groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for place, (spec, until) in enumerate(settings):
            groups.setdefault((spec.model_dump_json(), tuple(until)), []).append(place)
        texts: dict[int, str] = {}
        for places in groups.values():
            (spec, until), before = settings[places[0]], len(texts)
            answers = self._engine.generate(
                [prompts[place] for place in places],
                spec,
                [self.eot_token_id],
                lambda done, total, before=before: self._tick("answers", before + done, len(prompts)),
                until=until,
            )
            for place, answer in zip(places, answers, strict=True):
                text = str(self.tokenizer.decode(answer.ids, skip_special_tokens=True))
                texts[place] = postprocess_generated_text(text, until, None)
        return [texts[place] for place in range(len(prompts))]

    def _prompt(self, text: str, longest: int) -> list[int]:
        room = self._context - longest
        if room < 1:
            raise AskError(
                "ask.wrong-value",
                f"a task asks for answers of {longest} tokens, and the model's context is {self._context}",
                "set generation_kwargs: {max_gen_toks: …} in the task, or use a model with a longer context",
            )
        ids = self.tok_encode(text)
        self.cut += len(ids) > room
        return ids[-room:]

    def _settings(self, given: Mapping[str, Any]) -> tuple[GenerationSpec, list[str]]:
        """How to answer, and the texts that end an answer. Errors: AskError `ask.wrong-value`."""
        found: dict[str, Any] = dict(normalize_gen_kwargs(dict(given), _LONGEST_ANSWER))
        until = [str(text) for text in found.pop("until") or []]
        end = str(self.tokenizer.decode(self.eot_token_id))
        until += [end] if end not in until else []
        settings: dict[str, Any] = {"max_new_tokens": found.pop("max_gen_toks"), "batch_size": self._batch_size}
        temperature, samples = float(found.pop("temperature", 0.0)), bool(found.pop("do_sample"))
        top_p, top_k = found.pop("top_p", None), found.pop("top_k", None)
        if samples and temperature > 0:
            settings |= {"temperature": temperature, "seed": self._seed}
            settings |= {"top_p": top_p} if top_p is not None else {}
            settings |= {"top_k": top_k} if top_k else {}
        other = {name: value for name, value in found.items() if value not in _NEUTRAL.get(name, ())}
        if other:
            listed = ", ".join(f"{name}: {value}" for name, value in other.items())
            raise AskError(
                "ask.wrong-value",
                f"a task sets {listed} for its answers, which burnish does not apply",
                "remove it from the task's generation_kwargs",
            )
        return GenerationSpec(**settings), until
