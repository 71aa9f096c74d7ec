"""Faults of training on rewards: sampled log-probabilities, advantages, the divergence, the surrogate, scores."""

from dataclasses import replace

import numpy as np

from burnish.stages.train.rl import rollout_run
from burnish.train.objectives import grpo
from burnish.train.objectives import reward as reward_model
from burnish.train.rollout import groups, per_token, rollouts
from museum.exhibit import Exhibit
from museum.rows import shifted_twice

KL = {"kl_coefficient": 0.1}


def in_advantages(patch, change):
    """Change the advantages [P, G] of a rollout: `change(make, rewards, baseline, scale)`."""
    make = groups.group_advantages
    patch.setattr(groups, "group_advantages", lambda rewards, baseline, scale: change(make, rewards, baseline, scale))


def wrong_axis(patch):
    def across(make, rewards, *others):
        return replace(make(rewards, *others), values=make(rewards.T, *others).values.T.copy())

    in_advantages(patch, across)


def normalised_twice(patch):
    def twice(make, *given):
        found = make(*given)
        return replace(found, values=(found.values - found.values.mean()) / (2 * found.values.std() + 1e-4))

    in_advantages(patch, twice)


def in_divergence(patch, change):
    kl = grpo.kl
    patch.setattr(grpo, "kl", lambda difference, estimator: change(kl, difference, estimator))


def kl_is_rewarded(patch):
    in_divergence(patch, lambda kl, difference, estimator: -kl(difference, estimator))


def kl_reversed(patch):
    in_divergence(patch, lambda kl, difference, estimator: kl(-difference, estimator))


def kl_of_the_other_side(patch):
    """k3 with both models exchanged: never negative, and another divergence."""
    kl_reversed(patch)


def negated_twice(patch):
    clipped = grpo.clipped
    patch.setattr(grpo, "clipped", lambda *given: -clipped(*given))


def ratio_is_one(patch):
    """π_old is taken from the model in training, although a rollout is used several times."""
    score = grpo.Grpo.score

    def without_old(self, forward, batch, whole):
        values = {name: value for name, value in batch.token_values.items() if name != grpo.OLD}
        return score(self, forward, replace(batch, token_values=values), whole)

    patch.setattr(grpo.Grpo, "score", without_old)


def sequences_for_tokens(patch):
    begin = grpo.Grpo.__init__

    def joint(self, spec):
        begin(self, spec)
        self._importance = "sequence"

    patch.setattr(grpo.Grpo, "__init__", joint)


def other_temperature(patch):
    begin = grpo.Grpo.__init__

    def at_one(self, spec):
        begin(self, spec)
        self._temperature = 1.0

    patch.setattr(grpo.Grpo, "__init__", at_one)


def padding_is_learned(patch):
    """Every completion ends, and what fills the batch after it is learned."""
    rows = rollouts.Rollouts._rows

    def filled(self, found, left_out):
        longer = [
            replace(one, ids=[*one.ids, 2, 0], end=0, log_probs=(*one.log_probs[: len(one.ids)], 0.0, 0.0, 0.0))
            for one in found.answers
        ]
        return rows(self, replace(found, answers=longer), left_out)

    patch.setattr(rollouts.Rollouts, "_rows", filled)


def end_is_not_learned(patch):
    """Every completion ends before its last token, and the token that ended it is left out."""
    rows = rollouts.Rollouts._rows

    def cut(self, found, left_out):
        shorter = [replace(one, ids=one.ids[:-1], end=None) for one in found.answers]
        return rows(self, replace(found, answers=shorter), left_out)

    patch.setattr(rollouts.Rollouts, "_rows", cut)


def reference_with_adapter(patch):
    patch.setattr(
        rollout_run,
        "_without_adapter",
        lambda passes, temperature: lambda rows: per_token.log_probs(passes, rows, temperature),
    )


def per_micro_batch(patch):
    score = grpo.Grpo.score

    def own(self, forward, batch, whole):
        return score(self, forward, batch, replace(whole, divisor=float(len(batch.weights))))

    patch.setattr(grpo.Grpo, "score", own)


def engine_shifted(patch):
    """Log-probabilities of generation stand one token late."""
    rows = rollouts.Rollouts._rows

    def late(self, found, left_out):
        made = rows(self, found, left_out)
        return made.with_token_values(**{grpo_engine: np.roll(made.token_values[grpo_engine], 1)})

    grpo_engine = rollouts.ENGINE
    patch.setattr(rollouts.Rollouts, "_rows", late)


def score_at_the_end_of_the_batch(patch):
    """The last place of the batch, as where a padding token is unknown."""

    def scores_of(forward, batch):
        hidden = forward.hidden(batch)[batch.last * 0 + batch.tokens - 1]
        return getattr(forward.causal, reward_model.HEAD)(hidden).float().view(-1, batch.width)

    patch.setattr(reward_model, "scores_of", scores_of)


def score_before_the_end(patch):
    """The token before the last one, as where the padding token also ends a turn."""

    def scores_of(forward, batch):
        hidden = forward.hidden(batch)[batch.last - 1]
        return getattr(forward.causal, reward_model.HEAD)(hidden).float().view(-1, batch.width)

    patch.setattr(reward_model, "scores_of", scores_of)


def exhibit(name, source, looked, caught_by, inject, settings=KL):
    return Exhibit(name, source, looked, caught_by, inject, stage="grpo", settings=settings)


EXHIBITS = (
    exhibit(
        "log-probabilities in training are those of another position",
        "lucidrains/PaLM-rlhf-pytorch#31 Goekdeniz-Guelmez/mlx-lm-lora#80",
        "ratios compare two different tokens",
        "sampled",
        shifted_twice,
    ),
    exhibit(
        "log-probabilities of generation are those of another position",
        "PrimeIntellect-ai/prime-rl#1525",
        "ratios compare two different tokens",
        "sampled",
        engine_shifted,
    ),
    exhibit(
        "ratios are computed at another temperature than was sampled at",
        "huggingface/trl#3029 huggingface/trl#4159",
        "the ratio of engine and trainer is always at its bound",
        "sampled",
        other_temperature,
        {"generation": {"temperature": 0.5, "max_new_tokens": 12}},
    ),
    exhibit(
        "tokens after the end of a completion are learned",
        "huggingface/trl#7039 bingreeky/MemGen#33",
        "all completions of a batch count as equally long",
        "completions",
        padding_is_learned,
    ),
    exhibit(
        "the token that ends a completion is not learned",
        "huggingface/trl#4970",
        "the model forgets to stop",
        "completions",
        end_is_not_learned,
    ),
    exhibit(
        "advantages are those of the batch, not of a prompt's completions",
        "XU-YIJIE/grpo-flat#2 StarsfieldAI/R1-V#67",
        "answers to easy prompts are reinforced, whatever they are",
        "advantages",
        wrong_axis,
    ),
    exhibit(
        "advantages are normalised twice, over groups and over the batch",
        "axon-rl/gem#113 amazon-science/reskill#12",
        "nothing; steps have another size",
        "advantages",
        normalised_twice,
    ),
    exhibit(
        "the loss of completions is negated twice",
        "fla-org/flash-linear-attention#1073",
        "the reward falls",
        "preferred answer",
        negated_twice,
    ),
    exhibit(
        "the divergence is rewarded",
        "qiancheng0/ToolRL#52 marin-community/marin#1742",
        "training collapses once a KL penalty is set",
        "divergence",
        kl_is_rewarded,
    ),
    exhibit(
        "the log-ratio of the divergence is reversed",
        "one-covenant/grail#42 marin-community/marin#1708",
        "a negative KL, and a model that moves away from its reference",
        "divergence",
        kl_reversed,
        KL | {"kl_estimator": "k1"},
    ),
    exhibit(
        "the divergence of GRPO is that of other quantities",
        "huggingface/trl#3104",
        "nothing; KL is of the right sign and size",
        "formula",
        kl_of_the_other_side,
    ),
    exhibit(
        "the reference of GRPO is computed with the adapter on",
        "unslothai/unsloth#2736",
        "KL stays zero",
        "reference",
        reference_with_adapter,
    ),
    exhibit(
        "the ratio is always 1, although a rollout is used several times",
        "xiaomi-research/time-r1#20",
        "nothing is ever clipped",
        "formula",
        ratio_is_one,
        {"passes": 2},
    ),
    exhibit(
        "ratios of whole completions are clipped as if they were of tokens",
        "rasbt/reasoning-from-scratch#243",
        "almost everything is clipped, or nothing",
        "formula",
        sequences_for_tokens,
        {"passes": 2},
    ),
    exhibit(
        "the loss of GRPO is normalised for each micro-batch",
        "allenai/open-instruct#1161 huggingface/trl#3021",
        "short completions weigh more with gradient accumulation",
        "micro-batches",
        per_micro_batch,
    ),
    Exhibit(
        "the reward is read at a padding token",
        "huggingface/trl#937",
        "accuracy stays near one half",
        "score",
        score_at_the_end_of_the_batch,
        stage="reward",
    ),
    Exhibit(
        "the reward is read before the last token, since padding is the token that ends a turn",
        "huggingface/transformers#35352",
        "the score is that of an earlier token",
        "score",
        score_before_the_end,
        stage="reward",
    ),
)
