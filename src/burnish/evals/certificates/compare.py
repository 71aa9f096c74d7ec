"""Take a certificate: compare a child with its parent on golden conversations and held-out rows.

parent     renders the rows, answers golden prompts greedily, gives its log-probabilities and its merged weights
child      gives its log-probabilities of the same tokens, and its weights

At most one model and the weights of the other are in memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from burnish.core.errors import BurnishError, ModelError, RunError
from burnish.core.runs.certificates import SAME_FILES
from burnish.evals.certificates.check import Certificate, Check, absent, held
from burnish.evals.certificates.distributions import DISTRIBUTIONS, Compared, Kind, distribution_checks
from burnish.evals.certificates.golden import GOLDEN, digest_of, name_of, refusal_of
from burnish.evals.certificates.limits import limits_of
from burnish.evals.certificates.subject import Subject
from burnish.evals.certificates.tokens import compare_ids, compare_settings, compare_tokens, rendering
from burnish.evals.certificates.weights import compare_weights
from burnish.models.engines.protocol import Forced, IntArray

Tick = Callable[[str, int, int], None]
"""Called with (phase, rows done, total rows); it may raise to stop."""

TOP, WHOLE = 1024, 8192
"""The most likely tokens of a position that are compared one by one; all of a vocabulary of `WHOLE` tokens or fewer."""
GOLDEN_LONGEST, ANSWERED_LONGEST = 192, 160
"""Tokens of a golden conversation that are compared, and of a golden prompt that is answered."""
_RANDOM_LENGTH = 48
_NOT_CONFIG = (
    *("dtype", "torch_dtype", "quantization_config", "architectures", "use_cache", "return_dict"),
    *("attn_implementation", "output_attentions", "output_hidden_states", "name_or_path"),
)
_OF_A_MERGE = ("tie_word_embeddings",)
"""What a merge may change: an adapter of the head alone unties it."""


@dataclass(frozen=True)
class Effort:
    """How much is compared."""

    tokens: int = 4096
    """Positions of golden conversations and held-out rows, at most; of held-out rows at least half, if given."""
    answers: int = 8
    """Golden prompts that are answered."""
    answer_tokens: int = 24
    """Tokens of an answer."""
    seed: int = 0
    """Of the bootstrap."""


@dataclass
class _Row:
    ids: list[int]
    start: int = 0
    kind: Kind = "golden"


def certify(
    parent: Subject,
    child: Subject,
    change: str,
    *,
    held_out: Sequence[Sequence[int]] = (),
    kind: Kind = "held out",
    effort: Effort = Effort(),
    no_weights: str = "",
    is_copy: bool = False,
    tick: Tick = lambda phase, done, total: None,
) -> Certificate:
    """The certificate of `child` as that change of `parent`. `held_out` are rows of ids of the parent's tokenizer.

    `kind` is "training" for rows that were learned, "sampled" for texts of the parent.
    `no_weights` says why weights are not compared, such as too little memory; `is_copy` that the files are the same.
    Errors: AskError `ask.wrong-value` for an unknown change; those of loading either model.
    """
    change, limits = limits_of(change)
    checks = [held(SAME_FILES, True, "the files are identical")] if is_copy else list[Check]()
    checks += _visible_checks(parent, child)
    golden = _golden_digests(child)
    rows = _conversations(parent, child, held_out, kind, effort)
    answered, why_not = _answered(parent, effort)
    rows = sorted([*rows, *answered], key=lambda row: -len(row.ids))
    ids = [row.ids for row in rows]

    def finished(numbers: Mapping[str, float], kl: Sequence[float] = ()) -> Certificate:
        ours, theirs = ({"ref": side.ref, "fingerprint": side.fingerprint} for side in (parent, child))
        return Certificate(change, ours, theirs, checks, len(rows), len(kl), numbers, kl, golden)

    compared: Compared | None = None
    try:
        ours, why_not_compared = _log_probs(parent, ids, None, tick, "parent")
        config, vocabulary = parent.config, parent.vocabulary
        weights = None if no_weights or limits.weight is None else parent.weights()
        parent.close()
        checks.append(_config(config, child.config, change))
        checks.append(_sizes(vocabulary, child, max(map(len, ids), default=0)))
        if checks[-1].verdict == "does not hold":
            ours, why_not_compared = None, checks[-1].found
        if ours is not None:
            theirs, why_not_compared = _log_probs(child, ids, [row.ids for row in ours], tick, "child")
            if theirs is not None:
                compared = Compared(ids, [row.start for row in rows], [row.kind for row in rows], ours, theirs)
    except RunError as error:
        if error.code != "run.not-finite":
            raise
        checks.append(held("finite", False, error.what, "finite"))
        return finished({})
    finally:
        parent.close()
    numbers: dict[str, float] = {}
    if compared is None:
        checks += [absent(name, why_not_compared) for name in ("finite", *DISTRIBUTIONS)]
    else:
        checks.append(held("finite", True, f"all log-probabilities of {len(rows)} rows are finite in both", "finite"))
        found, numbers = distribution_checks(compared, limits, effort.seed)
        checks += [absent("greedy", why_not) if why_not and check.name == "greedy" else check for check in found]
    own = None if weights is None else child.weights()
    child.close()
    if weights is None or own is None:
        checks.append(absent("weights", no_weights or "they are not visible, or stored in another form"))
    else:
        checks.append(compare_weights(weights, own, limits.weight))
    return finished(numbers, [] if compared is None else compared.kl.tolist())


def _visible_checks(parent: Subject, child: Subject) -> list[Check]:
    """The checks that need no model."""
    checks: list[Check] = []
    if parent.tokenizer is not None and child.tokenizer is None and child.settings is not None:  # a folder
        checks.append(held("tokenizer", False, "the child has no tokenizer", "identical"))
    elif parent.tokenizer is None or child.tokenizer is None:
        names = ("template", "tokenizer", "special tokens")
        checks += [absent(name, "a tokenizer is not visible") for name in names]
        rendered = [
            (golden.name, parent.ids(golden, prompt), child.ids(golden, prompt))
            for golden in GOLDEN
            for prompt in (False, True)
        ]
        checks.append(compare_ids(rendered))
    else:
        checks += compare_tokens(parent.tokenizer, child.tokenizer)
    if parent.settings is None or child.settings is None:
        return [*checks, absent("generation config", "not visible")]
    return [*checks, compare_settings("generation config", parent.settings, child.settings, ())]


def _golden_digests(child: Subject) -> dict[str, str]:
    """The digests of the child's ids of the golden conversations, and the codes of those that its template refuses."""
    found: dict[str, str] = {}
    for golden in GOLDEN:
        for prompt in (False, True):
            if ids := child.ids(golden, prompt):
                found[name_of(golden, prompt)] = digest_of(ids)
            elif code := child.refusal(golden, prompt):
                found[name_of(golden, prompt)] = refusal_of(code)
    return found


def _config(parent: Mapping[str, Any] | None, child: Mapping[str, Any] | None, change: str) -> Check:
    if parent is None or child is None:
        return absent("config", "not visible")
    ignored = (*_NOT_CONFIG, *(_OF_A_MERGE if change.startswith("merge") else ()))
    return compare_settings("config", parent, child, ignored)


def _sizes(vocabulary: int, child: Subject, longest: int) -> Check:
    """Whether the child's distributions are over as many tokens as the parent's, and its context has room for the rows.

    Without that the distributions cannot be compared.
    """
    if not vocabulary or not child.vocabulary:
        return absent("sizes", "an endpoint does not show its vocabulary")
    limit = "the same vocabulary, and room for all rows"
    if child.vocabulary != vocabulary:
        found = f"the child's distributions are over {child.vocabulary:,} tokens, not {vocabulary:,}"
        return held("sizes", False, found, limit)
    if longest - 1 > child.context:  # the last token predicts nothing
        found = f"a row has {longest:,} tokens, and the child's context is {child.context:,}"
        return held("sizes", False, found, limit)
    return held("sizes", True, f"both are over {vocabulary:,} tokens; rows have up to {longest:,}", limit)


def _conversations(
    parent: Subject, child: Subject, held_out: Sequence[Sequence[int]], kind: Kind, effort: Effort
) -> list[_Row]:
    """The rows to compare: held-out ones for half of the tokens, then golden ones, then other held-out ones."""
    longest, left, tokenizer = parent.context, effort.tokens, parent.tokenizer or child.tokenizer
    if tokenizer is None:
        golden = _random_rows(parent.vocabulary)
    else:
        golden = [rendering(tokenizer, one, False)[1] for one in GOLDEN]
    golden_rows = [_Row(ids[: min(GOLDEN_LONGEST, longest)]) for ids in golden]
    others = [_Row(list(ids[:longest]), kind=kind) for ids in held_out]
    half = next((n for n in range(len(others)) if _positions(others[:n]) >= effort.tokens // 2), len(others))
    rows: list[_Row] = []
    for row in [*others[:half], *golden_rows, *others[half:]]:
        row.ids = row.ids[: left + 1]
        if len(row.ids) >= 2:
            rows.append(row)
            left -= len(row.ids) - 1
    return rows


def _random_rows(vocabulary: int) -> list[list[int]]:
    """Random ids in place of the golden conversations, for a model without a tokenizer."""
    random = np.random.default_rng(0)
    return [random.integers(vocabulary, size=_RANDOM_LENGTH).tolist() for _ in GOLDEN]


def _positions(rows: Sequence[_Row]) -> int:
    return sum(len(row.ids) - 1 for row in rows)


def _answered(parent: Subject, effort: Effort) -> tuple[list[_Row], str]:
    """Golden prompts with the parent's greedy answers, and why there are none."""
    if parent.tokenizer is None:
        return [], "the parent's tokenizer is not visible"
    prompts = [rendering(parent.tokenizer, golden, True)[1] for golden in GOLDEN]
    longest = min(ANSWERED_LONGEST, parent.context - effort.answer_tokens)
    prompts = [ids for ids in prompts if 0 < len(ids) <= longest][: effort.answers]
    if not prompts:
        return [], "no golden prompt fits"
    try:
        answers = parent.answers(prompts, effort.answer_tokens)
    except BurnishError as error:
        if error.code != "model.unsupported":
            raise
        return [], error.what
    pairs = zip(prompts, answers, strict=True)
    return [_Row(prompt + answer, len(prompt) - 1, "answer") for prompt, answer in pairs], ""


def _log_probs(
    side: Subject, rows: Sequence[Sequence[int]], at: Sequence[IntArray] | None, tick: Tick, name: str
) -> tuple[list[Forced] | None, str]:
    """The log-probabilities of a side; or None, and why it gives none."""
    found: list[Forced] = []
    top = side.vocabulary if at is None and 0 < side.vocabulary <= WHOLE else TOP
    tick(name, 0, len(rows))
    try:
        for forced in side.log_probs(rows, top=top, at=at):
            found.append(forced)
            tick(name, len(found), len(rows))
    except ModelError as error:
        if error.code != "model.unsupported":
            raise
        return None, error.what
    return found, ""
