"""What the checks look at: the parts of a training, a few of its rows, and numbers that several checks need."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from burnish.core.errors import ModelError
from burnish.models.probing import MARGIN, MOST, distance, evaluating, has_experts
from burnish.specs.train import TrainSpec
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Batch, make_batch
from burnish.train.checkpoints.checkpoint import capture_randomness, restore_randomness
from burnish.train.objectives.objective import Objective, Whole
from burnish.train.objectives.surrogate import ADVANTAGE
from burnish.train.proofs.question import Answer, within
from burnish.train.proofs.sample import Sample, rows_of_sample, sample_of, tokens_of_sample, varied
from burnish.train.proofs.twin import Plain

if TYPE_CHECKING:
    from burnish.core.context import Input
    from burnish.train.passes import Passes
    from burnish.train.proofs.examples import Example

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 1e-2}
GRADIENT_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Least tolerances, relative; a model that rounds more is allowed a multiple of what it rounds."""
_OF_EXPERTS = 3.0
"""Times as much is allowed in 16 bits where rounding may send a token to another expert."""
_COMPARED = 1 << 22
"""Numbers of a gradient that are compared."""
_ADDED = (".lora_B.", ".lora_embedding_B.", "modules_to_save", "trainable_tokens")
"""Weights of an adapter without which it is its base."""
_PERTURBATION = 0.02


@dataclass(frozen=True)
class Known:
    """What a stage knows beside model and tokens; a check that needs what is absent does not apply."""

    tokenizer: Any = None
    base: "Input | None" = None
    """The model that is trained; None for a new architecture."""
    examples: "tuple[Example, ...]" = ()
    """Conversations of the data, as they are served."""
    make: Callable[[], nn.Module] | None = None
    """Seeds, loads the base and prepares it for the method, as at the start of the run."""
    save: Callable[[nn.Module, Path], None] | None = None
    """Writes the trained model as the stage does at the end."""
    is_rounded: bool = False
    """True if the float32 masters are not those of the model that `make` returns."""


NOTHING = Known()


@dataclass(frozen=True)
class Drawn:
    """What is known of rows that the training has sampled."""

    groups: Indices  # [rows], the prompt of each row
    reference: Callable[[TokenisedRows], np.ndarray] | None
    """The reference's log-probabilities [K] of learned tokens, as the training computes them; None without one."""
    stop_ids: frozenset[int]
    """Tokens that end a completion."""
    longest: int
    """The most tokens of a completion."""


@dataclass(frozen=True)
class Step:
    """One optimizer step's gradient."""

    loss: float
    metrics: list[float]
    row_losses: np.ndarray  # [R], in the order of the rows
    gradient: Tensor  # the compared weights, flat float32
    reached: Mapping[str, bool]
    """Whether each trained weight has a gradient that is not zero."""
    frozen: list[str]
    """Frozen weights that have a gradient."""


@dataclass
class Subject:
    """A training before its first step: the parts that will run it, and rows that it will visit.

    The checks restore what they change: weights, gradients, random states, and the size of a micro-batch.
    """

    passes: "Passes"
    rows: TokenisedRows
    """The train split, with the values that the objective needs for the visited rows."""
    spec: TrainSpec
    visited: Indices
    known: Known = NOTHING
    is_started: bool = False
    """True if the weights are no longer those of step 0."""
    drawn: Drawn | None = None
    """Given where the rows are sampled."""
    _is_perturbed: bool = False
    _plain_losses: dict[float, Tensor] = field(default_factory=dict[float, Tensor])
    _base_losses: dict[float, Tensor] = field(default_factory=dict[float, Tensor])

    @property
    def tokenizer(self) -> Any:
        return self.known.tokenizer

    @property
    def scorer(self) -> Any:
        return self.passes.scorer

    @property
    def model(self) -> nn.Module:
        return self.passes.scorer.model

    @property
    def objective(self) -> Any:
        return self.passes.objective

    @property
    def device(self) -> torch.device:
        return self.scorer.causal.device

    @cached_property
    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.model.parameters())

    @cached_property
    def trained(self) -> dict[str, nn.Parameter]:
        """Every trained weight by name."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    @cached_property
    def sample(self) -> Sample:
        """A few rows, chosen by length and turns. Stored numbers of sampled ones are such that ratios differ from 1."""
        tokens = tokens_of_sample(self.model)
        found = sample_of(self.rows, rows_of_sample(self.rows, self.visited, tokens), tokens)
        if self.drawn is None:
            return found
        with self.perturbed(), self.in_evaluation(found.rows) as twin:
            now = -twin.all_losses(self.temperature)
        return replace(found, rows=varied(found.rows, now.cpu().numpy(), self.settings))

    @cached_property
    def settings(self) -> Any:
        """A copy of the spec: what a check reads is not read by the training."""
        return self.spec.model_copy(deep=True)

    @property
    def temperature(self) -> float:
        """The temperature of the objective's log-probabilities."""
        return 1.0 if self.drawn is None else self.settings.generation.temperature

    def with_scale(self, loss: float) -> Tensor:
        """A loss to compare: where those of good and bad answers cancel, beside the mean size of what they add up."""
        sizes = self.sample.rows.values.get(ADVANTAGE)
        return torch.tensor([loss] if sizes is None else [loss, float(np.abs(sizes).mean())])

    @property
    def every(self) -> Indices:
        return np.arange(len(self.sample.rows))

    @cached_property
    def whole(self) -> Whole:
        """The step that consists of the sample; what the objective would survey is 0."""
        return replace(self.passes.whole(self.sample.rows, self.every), surveyed=self.assumed)

    @property
    def assumed(self) -> Tensor | None:
        """What stands for a survey: it has no gradient, and may need rows that the run does not pair."""
        return torch.zeros((), device=self.device) if self.objective.surveys else None

    def batch(self, rows: TokenisedRows | None = None, only: Indices | None = None) -> Batch:
        """Rows of the sample, or of others, as the training lays them out; all of them by default."""
        rows = self.sample.rows if rows is None else rows
        every = np.arange(len(rows)) if only is None else only
        return make_batch(rows, every, self.device, share_prompts=self.scorer.shares_prompts)

    def batches(self, rows: TokenisedRows | None = None) -> list[Batch]:
        """The rows as the training splits them: in one micro-batch, or one by one if the model does not pack."""
        rows = self.sample.rows if rows is None else rows
        every = np.arange(len(rows))
        parts = [every[i : i + 1] for i in every.tolist()] if self.scorer.one_by_one else [every]
        return [self.batch(rows, part) for part in parts]

    @torch.no_grad()
    def losses(self, batches: list[Batch]) -> Tensor:
        """ce [K] of the learned tokens, on the path of the training, without dropout."""
        with evaluating(self.model):
            return torch.cat([self.scorer.token_losses(batch) for batch in batches])

    def plain(self, rows: TokenisedRows | None = None) -> Plain:
        """The plain twin of the training's path for these rows, by default those of the sample."""
        return Plain(self.model, self.scorer.plain, self.sample.rows if rows is None else rows)

    @contextmanager
    def in_evaluation(self, rows: TokenisedRows | None = None) -> Iterator[Plain]:
        """The plain twin without gradients and dropout."""
        with torch.no_grad(), evaluating(self.model), self.plain(rows) as twin:
            yield twin

    @contextmanager
    def base_layers_only(self) -> Iterator[None]:
        """Calls of an adapted layer go to the base's own layer inside the block, without PEFT's switch."""
        replaced = list[nn.Module]()
        for module in list(self.model.modules()):
            inner = getattr(module, "base_layer", None) or getattr(module, "original_module", None)
            if isinstance(inner, nn.Module) and "forward" not in vars(module):
                module.forward = partial(nn.Module.__call__, inner)
                replaced.append(module)
        try:
            yield
        finally:
            for module in replaced:
                del module.forward

    @contextmanager
    def watched_states(self) -> Iterator[list[Tensor]]:
        """The states [T, d], or logits [T, V], that the scorer computes in the block, one for each batch."""
        found, joined = list[Tensor](), self.scorer.joined

        def keep(*arguments: Any) -> Tensor:
            found.append(joined(*arguments))
            return found[-1]

        self.scorer.joined = keep
        try:
            yield found
        finally:
            del self.scorer.joined

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end a turn, of the tokenizer's chat template, and the one that ends a text."""
        if self.tokenizer is None:
            return frozenset()
        end = self.tokenizer.eos_token_id
        try:
            ids = Renderer(self.tokenizer).stop_ids
        except ModelError:
            ids = ()
        return frozenset(ids) | (frozenset() if end is None else {int(end)})

    @cached_property
    def plain_losses(self) -> Tensor:
        """ce [K] of the sample by the plain twin."""
        return self.plain_losses_at(1.0)

    def plain_losses_at(self, temperature: float) -> Tensor:
        """ce [K] of the sample by the plain twin, with logits / temperature; computed once."""
        if temperature not in self._plain_losses:
            with self.in_evaluation() as twin:
                self._plain_losses[temperature] = twin.all_losses(temperature)
        return self._plain_losses[temperature]

    def keep_plain_losses(self, found: Mapping[float, Tensor]) -> None:
        """Losses [K] of the sample that the plain twin has computed with a gradient, by temperature."""
        self._plain_losses.update(found)

    def base_losses_at(self, temperature: float = 1.0) -> Tensor:
        """ce [K] of the sample under the base's own layers; computed once for a model with an adapter."""
        if temperature in self._base_losses:
            return self._base_losses[temperature]
        with self.in_evaluation() as twin, self.base_layers_only():
            found = twin.all_losses(temperature)
        if hasattr(self.model, "peft_config"):
            self._base_losses[temperature] = found
        return found

    @cached_property
    def own_losses(self) -> Tensor:
        """ce [K] of the sample on the path of the training, without dropout."""
        return self.losses(self.batches())

    def sums(self, losses: Tensor) -> Tensor:
        """The sums of losses [K] of the sample over each sequence, [rows, width]."""
        counts = self.sample.rows.learned_of(self.every)
        return torch.stack([part.sum() for part in losses.split(counts.flatten().tolist())]).view(counts.shape)

    @cached_property
    def compared(self) -> list[str]:
        """The trained weights whose gradients are compared: all, or some spread over the model."""
        names, chosen, total = list(self.trained), list[str](), 0
        order = names if sum(w.numel() for w in self.trained.values()) <= _COMPARED else _ends_first(names)
        for name in order:
            if not chosen or total + self.trained[name].numel() <= _COMPARED:
                chosen.append(name)
                total += self.trained[name].numel()
        return sorted(chosen)

    def step(
        self, rows: TokenisedRows, tokens: int, training: bool = False, objective: Objective | None = None
    ) -> Step:
        """The gradient of a step on all of these rows, in micro-batches of at most `tokens` tokens.

        Without dropout and noise unless `training`, without clipping and without a load-balancing loss; by another
        objective if one is given.
        """
        passes, state = self.passes, self.passes.state
        kept = passes.max_grad_norm, passes.balance, state.micro_batch_tokens, self.model.training, passes.objective
        passes.max_grad_norm, passes.balance, state.micro_batch_tokens = None, None, tokens
        passes.assumed, passes.objective = self.assumed, objective or passes.objective
        randomness = capture_randomness()
        self.model.train(training)
        try:
            found = passes.gradient(rows, np.arange(len(rows)))
            (loss, _, _, *metrics), values = found.read()
            masters = self.passes.optimizer.masters
            gradients = {name: masters[name].grad for name in self.trained if name in masters}
            order = np.argsort(found.rows, kind="stable")
            return Step(
                loss,
                metrics,
                values[0][order],
                self.flat(gradients),
                {name: grad is not None and bool(grad.any()) for name, grad in gradients.items()},
                [name for name, weight in self.model.named_parameters() if name not in gradients and has_grad(weight)],
            )
        finally:
            passes.max_grad_norm, passes.balance, state.micro_batch_tokens, was_training, passes.objective = kept
            passes.assumed = None
            self.model.train(was_training)
            passes.optimizer.zero_grad()
            for weight in self.model.parameters():
                weight.grad = None
            restore_randomness(randomness)

    def flat(self, gradients: Mapping[str, Tensor | None]) -> Tensor:
        """The gradients of the compared weights as one vector, float32; zeros where there is none."""
        parts = []
        for name in self.compared:
            found = gradients.get(name)
            parts.append(torch.zeros(self.trained[name].numel()) if found is None else found.float().flatten().cpu())
        return torch.cat(parts)

    @cached_property
    def in_one(self) -> Step:
        """The sample as one step, in one micro-batch."""
        return self.step(self.sample.rows, 1 << 30)

    @contextmanager
    def perturbed(self) -> Iterator[None]:
        """What an adapter adds, and the compared weights of a model trained whole, are changed a little in the block.

        Otherwise a training at its start would equal its base whatever is wrong.
        """
        if self._is_perturbed:
            yield
            return
        self._is_perturbed = True
        is_adapter, compared = hasattr(self.model, "peft_config"), set(self.compared)
        changed = {
            weight: weight.detach().clone()
            for name, weight in self.trained.items()
            if not bool(weight.any()) or (any(part in name for part in _ADDED) if is_adapter else name in compared)
        }
        random = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight, before in changed.items():
                size = float(before.float().std()) if before.numel() > 1 and bool(before.any()) else 1.0
                weight += (torch.randn(weight.shape, generator=random) * _PERTURBATION * size).to(weight)
        try:
            yield
        finally:
            self._is_perturbed = False
            with torch.no_grad():
                for weight, before in changed.items():
                    weight.copy_(before)

    def compare(
        self, ours: Tensor, theirs: Tensor, found: str, least: Mapping[torch.dtype, float] = TOLERANCE
    ) -> Answer:
        """Holds if the relative distance is explained by rounding."""
        dtype, times = self.scorer.causal.dtype, 1.0
        if dtype != torch.float32 and has_experts(self.model):
            times = _OF_EXPERTS
        share, allowed = distance(ours, theirs), times * least.get(dtype, 1e-4)
        if not share <= allowed:
            allowed = max(allowed, min(times * MARGIN * self.scorer.rounding(), MOST))
        return within(share, allowed, found)


def has_grad(weight: nn.Parameter) -> bool:
    return weight.grad is not None and bool(weight.grad.any())


def _ends_first(names: list[str]) -> list[str]:
    """The first and the last name, then those between them."""
    count = len(names)
    order = [place for pair in zip(range(count), reversed(range(count)), strict=True) for place in pair]
    return [names[place] for place in dict.fromkeys(order)]
