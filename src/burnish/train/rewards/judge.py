"""A reward by a language model that rates the answer, behind an OpenAI-compatible URL."""

from collections.abc import Sequence

from burnish.core.errors import BurnishError, DataError, RunError
from burnish.data.document import conversation_text
from burnish.endpoints.client import Endpoint, Reply
from burnish.evals.judge.prompts import filled
from burnish.evals.judge.reading import ScoreReader, UnreadableError, end_of
from burnish.evals.scoring.scorers import visible
from burnish.specs.rewards import JudgeReward
from burnish.train.rewards.reward import Completion, Rewarded


class Judge:
    """The judge's score mapped to 0 to 1. `unreadable` counts the replies without a score that were skipped."""

    def __init__(self, spec: JudgeReward, name: str, endpoint: Endpoint):
        self.name, self.weight, self.endpoint = name, spec.weight, endpoint
        self.system, self.prompt = spec.system, spec.prompt
        self.skips = spec.unreadable == "skip"
        self.read = ScoreReader(spec.low, spec.high, spec.pattern, spec.field)
        self.unreadable = 0

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        asked = [self._conversation(completion) for completion in completions]
        replies = iter(self.endpoint.reply_to([one for one in asked if not isinstance(one, Rewarded)]))
        return [
            one if isinstance(one, Rewarded) else self._rewarded(next(replies), completion)
            for one, completion in zip(asked, completions, strict=True)
        ]

    @property
    def counts(self) -> dict[str, int]:
        """Requests and tokens of the endpoint so far, replies without a score, and what the cache and retries did."""
        endpoint = self.endpoint
        used = {"calls": endpoint.calls, "tokens": endpoint.tokens, "unreadable": self.unreadable}
        return {**used, **{name: endpoint.counts[name] for name in ("cached", "retries")}, "damaged": endpoint.damaged}

    def close(self) -> None:
        """End waiting requests."""
        self.endpoint.close()

    def _conversation(self, completion: Completion) -> list[dict[str, str]] | Rewarded:
        """What is sent for a completion, or why nothing is."""
        if completion.reference is None and "{reference}" in self.prompt:
            return NO_REFERENCE
        values = {
            "answer": completion.visible,
            "prompt": conversation_text(completion.prompt),
            "reference": visible(completion.reference or ""),
        }
        try:
            text = filled(self.prompt, values, completion.row)
        except DataError as error:
            return Rewarded(None, error.reason, f"name columns in `prompt` that the rows have ({error.fix})")
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": text}]

    def _rewarded(self, reply: Reply, completion: Completion) -> Rewarded:
        try:
            score = self.read(reply)
        except UnreadableError as problem:
            why = f"the judge's reply has no score: {problem}: {end_of(reply.text)!r}"
            if not self.skips:
                raise self._refused(why, completion) from None
            self.unreadable += 1
            return Rewarded(None, why, "change prompt, pattern or field of the judge, or raise its max_tokens")
        low, high = self.read.low, self.read.high
        return Rewarded((score - low) / (high - low), f"{score:g}: {end_of(reply.text)}")

    def _refused(self, why: str, completion: Completion) -> BurnishError:
        fix = "change prompt, pattern or field, raise max_tokens, or set unreadable: skip"
        return RunError("run.bad-reward", f"row {completion.place}: {why}", fix)


NO_REFERENCE = Rewarded(
    None,
    "the row has no reference answer",
    "set `answer` to the column with the reference, or remove {reference} from the prompt of the judge",
)
