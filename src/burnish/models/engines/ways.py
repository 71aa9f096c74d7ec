"""Ways to run a model token by token, and which of them reproduces transformers' own `generate`.

Models differ in the cache that they need and in how padding affects them, and a wrong guess gives wrong text without
an error. So every model is tested when an engine opens it: the next-token scores of a short answer, in a batch of
unequal prompts from which one leaves, must equal those of `generate` for each prompt alone. The first way that passes
is used.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor

from burnish.core.errors import ModelError, RunError
from burnish.models.probing import boundaries, distance, error_text, evaluating, length_of_rope, random_ids, text_config
from burnish.models.quiet import quiet_transformers

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
_LONG, _SHORT = 24, 4
"""Lengths of the two test prompts: the short one is mostly padding."""
_LONGEST = 200
"""The long prompt exceeds every boundary of the model that is below this many tokens."""
_LEAVES_AFTER, _STEPS = 2, 4
"""Tokens after which the long prompt leaves the batch, and after which the test ends."""


@dataclass(frozen=True)
class Way:
    """One way to run prompts.

    `inputs` names what prepares each forward pass: `burnish`, with a DynamicCache, or the `model`, as `generate` does.
    `batch` names the prompts that may share one: any (`padded`), those of equal length (`equal`), or none (`single`).
    """

    inputs: Literal["burnish", "model"]
    batch: Literal["padded", "equal", "single"]

    def start(self, model: "PreTrainedModel | PeftModel", prompts: Sequence[Sequence[int]]) -> "Steps":
        """Prompts prepared for their first step. Errors: any that the model raises for unsupported inputs."""
        ids, mask = _padded(prompts)
        ids, mask = ids.to(model.device), mask.to(model.device)
        return PlainSteps(model, ids, mask) if self.inputs == "burnish" else ModelSteps(model, ids, mask)


WAYS = (
    Way("burnish", "padded"),
    Way("model", "padded"),
    Way("burnish", "equal"),
    Way("model", "equal"),
    Way("model", "single"),
)
"""From the fastest to the slowest."""


class Steps(Protocol):
    """Rows that are answered together; `logits` is called once per token."""

    leaving: bool
    """Whether rows can leave before the others end."""

    def logits(self, chosen: Tensor | None) -> Tensor:
        """Scores of the next token [rows, vocabulary], given the last chosen tokens [rows]."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Keep these rows only."""
        ...


class PlainSteps:
    """One forward pass per token with a DynamicCache; finished rows leave."""

    leaving = True

    def __init__(self, model: "PreTrainedModel | PeftModel", ids: Tensor, mask: Tensor):
        from transformers import DynamicCache

        self._model, self._ids, self._mask = model, ids, mask
        self._is_padded = not bool(mask.all())
        self._positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
        self._cache: Any = DynamicCache(config=text_config(model.config))

    @torch.inference_mode()
    def logits(self, chosen: Tensor | None) -> Tensor:
        if chosen is not None:
            self._ids, self._positions = chosen[:, None], self._positions[:, -1:] + 1
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(chosen), 1)], dim=-1)
        output = self._model(
            input_ids=self._ids,
            attention_mask=self._mask if self._is_padded else None,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        self._cache.reorder_cache(rows)  # supported by every kind of layer, recurrent ones too
        self._ids, self._positions, self._mask = self._ids[rows], self._positions[rows], self._mask[rows]


class ModelSteps:
    """Each forward pass uses the inputs that the model prepares within `generate`; rows stay to the end."""

    leaving = False

    def __init__(self, model: "PreTrainedModel | PeftModel", ids: Tensor, mask: Tensor):
        self._model: Any = model
        with plain_generation(model):
            self._ids, self._inputs = self._model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=1 << 20, custom_generate=_prepared
            )
        self._is_first = True

    @torch.inference_mode()
    def logits(self, chosen: Tensor | None) -> Tensor:
        if chosen is not None:
            self._ids = torch.cat([self._ids, chosen[:, None]], dim=-1)
        fresh = None if self._is_first or not self._inputs.get("use_cache") else 1
        inputs = self._model.prepare_inputs_for_generation(
            self._ids, next_sequence_length=fresh, is_first_iteration=self._is_first, **self._inputs
        )
        output = self._model(**inputs, return_dict=True)
        self._inputs = self._model._update_model_kwargs_for_generation(output, self._inputs)
        self._is_first = False
        return output.logits[:, -1].float()

    def keep(self, rows: Tensor) -> None:
        raise NotImplementedError("the model's cache may be of any type")


def _prepared(
    model: Any,
    input_ids: Tensor,
    *,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    **inputs: Any,
) -> tuple[Tensor, dict[str, Any]]:
    """A decoding loop for `generate` that decodes nothing and returns the prepared inputs."""
    return input_ids, inputs


@contextmanager
def plain_generation(model: "PreTrainedModel | PeftModel") -> Iterator[None]:
    """Make `generate` greedy and endless, regardless of the model's generation config."""
    from transformers import GenerationConfig

    owner: Any = model
    before = owner.generation_config
    pad = before.pad_token_id if isinstance(before.pad_token_id, int) else 0
    owner.generation_config = GenerationConfig(pad_token_id=pad)
    try:
        with quiet_transformers():
            yield
    finally:
        owner.generation_config = before


def find_way(model: "PreTrainedModel | PeftModel") -> tuple[Way, str]:
    """The fastest way that reproduces the scores of `generate`, and why not a faster one ("" for the fastest).

    Errors: ModelError `model.unsupported` when `generate` itself fails, or differs from the model's own steps.
    """
    with evaluating(model), quiet_transformers():
        question = _Question(model)
        reasons: list[str] = []
        for way in WAYS:
            if not (reason := question.objection(way)):
                return way, reasons[0] if reasons else ""
            reasons.append(reason)
    raise _unsupported(model, f"no way to run it reproduces its own generate ({reasons[-1]})")


class _Question:
    """Two prompts, and the scores of `generate` after each of them alone."""

    def __init__(self, model: "PreTrainedModel | PeftModel"):
        self._model = model
        limits = boundaries(model.config)
        near = [limit for name, limit in limits.items() if limit <= _LONGEST and name != "rope_parameters"]
        long = max([_LONG, *(limit + 12 for limit in near)])
        room = context_of(model) - _STEPS
        if room < 2:
            raise _unsupported(model, f"its context of {context_of(model)} tokens has no room for an answer")
        lengths = [min(long, room), min(_SHORT, room - 1)]
        if near:  # a padded prompt that exceeds every near boundary
            lengths.append(min(long - 6, room - 1))
        self._prompts = [row.tolist() for row in random_ids(model.config, lengths)]
        state = random_state(model)
        try:
            self._answers = [
                self._alone(prompt, _STEPS if row else _LEAVES_AFTER) for row, prompt in enumerate(self._prompts)
            ]
        except Exception as error:  # a family may raise any error here
            raise _unsupported(model, f"transformers' own generate fails: {error_text(error)}") from error
        for _, scores in self._answers:
            refuse_not_finite(model, scores, "the first tokens of any answer")
        if not torch.equal(state, random_state(model)):
            raise _unsupported(model, "it draws random numbers while answering, so answers may differ between runs")

    def _alone(self, prompt: list[int], steps: int) -> tuple[Tensor, Tensor]:
        """Tokens [steps] and scores [steps, vocabulary] of `generate`."""
        model: Any = self._model
        ids = torch.tensor([prompt], device=model.device)
        with plain_generation(model):
            found = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=steps,
                output_logits=True,
                return_dict_in_generate=True,
            )
        return found.sequences[0, len(prompt) :], torch.cat(found.logits).float()

    def objection(self, way: Way) -> str:
        """Why a way is rejected; empty when it reproduces the scores of `generate`."""
        try:
            if way.batch == "padded":
                return self._compare(way, list(range(len(self._prompts))))
            if way.batch == "equal":
                return self._compare(way, [1, 1])
            return next(filter(None, (self._compare(way, [row]) for row in range(len(self._prompts)))), "")
        except Exception as error:  # a family may raise any error for what it does not support
            return error_text(error)

    def _compare(self, way: Way, rows: list[int]) -> str:
        """Run the prompts together along the answers of `generate`; the first leaves midway if rows can leave."""
        steps = way.start(self._model, [self._prompts[row] for row in rows])
        chosen = None
        for step in range(max(len(self._answers[row][0]) for row in rows)):
            if step == _LEAVES_AFTER and len(rows) > 1 and steps.leaving and chosen is not None:
                steps.keep(torch.arange(1, len(rows), device=self._model.device))
                rows, chosen = rows[1:], chosen[1:]
            logits = steps.logits(chosen)
            for place, row in enumerate(rows):
                tokens, scores = self._answers[row]
                if step < len(tokens) and _differ(logits[place], scores[step], self._model.dtype):
                    batch = {"padded": "next to a longer one", "equal": "in a batch", "single": "alone"}[way.batch]
                    return f"token {step + 1} after a prompt {batch} has other scores than in generate"
            tokens = [self._answers[row][0] for row in rows]
            chosen = torch.stack([row[min(step, len(row) - 1)] for row in tokens])
        return ""


def reach_of(model: "PreTrainedModel | PeftModel") -> int:
    """The most tokens of prompt and answer that the test of `find_way` covers; 2³⁰ without a limit.

    transformers' masks and caches handle windows and chunks at any length. Other boundaries of a config, such as the
    tokens that sparse attention keeps, count if they are too far away to be tested.
    """
    far = [
        limit
        for name, limit in boundaries(model.config).items()
        if limit > _LONGEST and name not in ("sliding_window", "attention_chunk_size")
    ]
    rope = length_of_rope(model.config)
    return min([1 << 30, *far, *([] if rope is None else [rope])])


def _differ(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    """Compared relative to the spread of scores around their mean. Tokens may be excluded with -inf."""
    possible = theirs > -torch.inf
    if not torch.equal(ours > -torch.inf, possible):
        return True
    ours, theirs = ours[possible], theirs[possible]
    return distance(ours - ours.mean(), theirs - theirs.mean()) > _TOLERANCE.get(dtype, 0.1)


def refuse_not_finite(model: "PreTrainedModel | PeftModel", scores: Tensor, place: str) -> None:
    """RunError `run.not-finite` when a row of scores [rows, vocabulary] has a NaN, or no possible token."""
    if not bool(scores.amax(dim=-1).isfinite().all()):
        raise RunError(
            "run.not-finite",
            f"the model's scores for {place} are NaN or infinite, computed in {str(model.dtype).rpartition('.')[2]}",
            "check the weights for NaN, or use a dtype with a larger range",
        )


def random_state(model: "PreTrainedModel | PeftModel") -> Tensor:
    return torch.cuda.get_rng_state(model.device) if model.device.type == "cuda" else torch.get_rng_state()


def context_of(model: "PreTrainedModel | PeftModel") -> int:
    """The most tokens of a prompt and its answer together; 2³⁰ if the config has no limit."""
    text = text_config(model.config)
    for name in ("max_position_embeddings", "max_seq_len", "max_target_positions"):
        limit = getattr(text, name, None)
        if isinstance(limit, int) and limit > 0:
            return limit
    return 1 << 30


def _padded(prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask [rows, longest], padded on the left."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    total = int(lengths.max())
    ids = torch.zeros(len(prompts), total, dtype=torch.long)
    for number, prompt in enumerate(prompts):
        ids[number, total - len(prompt) :] = torch.tensor(prompt)
    return ids, (torch.arange(total) >= (total - lengths)[:, None]).long()


def _unsupported(model: "PreTrainedModel | PeftModel", why: str) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"this {model.config.model_type} model cannot generate text here: {why}",
        "measure perplexity, which needs no generation, or use a model of another family",
    )
