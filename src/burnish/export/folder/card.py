"""The model card of a folder: front matter that the Hub accepts, and what is known of the model, in sections."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.core.registry.licences import TERMS, UNKNOWN
from burnish.core.version import VERSION
from burnish.export.folder.demands import demanded
from burnish.export.folder.facts import Facts, Score, Training
from burnish.export.folder.recipe import public_values, recipe_text
from burnish.export.folder.snippets import Runnable, Snippet, snippets

_SETTINGS = (
    *("method.kind", "method.rank", "method.alpha", "method.dropout", "method.dora", "method.rslora", "learning_rate"),
    *("optimizer.kind", "schedule.kind", "schedule.warmup", "epochs", "max_steps", "batch_size", "batch_tokens"),
    *("render.max_length", "dtype", "seed"),
)
"""Shown of each training, besides the ones that were given."""
_HIDDEN = ("base", "data", "push_to", "device", "threads", "prove", "stage")
_PIPELINES = {"causal": "text-generation", "reward": "text-classification", "masked": "fill-mask"}
_OTHER_CONDITIONS = "see-the-section-licence"


@dataclass(frozen=True)
class Card:
    """What a card is written from."""

    title: str
    facts: Facts
    runnable: Runnable
    parameters: int
    dtype: str
    certificate: Mapping[str, Any] | None
    why_uncertified: str
    export: Mapping[str, Any]
    """The given settings of the export step."""
    lacking: Sequence[str]
    """What the licences ask for and the folder does not have."""

    def text(self) -> str:
        """The Markdown file."""
        sections = [
            self._head(),
            _section("How to run it", [_snippet(one) for one in snippets(self.runnable)]),
            _section("Base", self._base()),
            _section("Data", self._data()),
            _section("Training", self._training()),
            _section("Scores", self._scores()),
            _section("Proof of the training", self._proof()),
            _section("Certificate", self._certificate()),
            _section("Recipe", self._recipe()),
            _section("Licence", self._licence()),
        ]
        return f"---\n{self.front_matter()}\n---\n\n" + "\n".join(filter(None, sections))

    def front_matter(self) -> str:
        """The YAML between the dashes."""
        from huggingface_hub import EvalResult, ModelCardData

        facts = self.facts
        results = [
            EvalResult(
                task_type=_PIPELINES.get(self.runnable.kind, "text-generation"),
                dataset_type=score.data_hub or _slug(score.data or score.run),
                dataset_name=score.data or score.run,
                metric_type=_slug(score.name),
                metric_name=score.name,
                metric_value=round(score.value, 6),
            )
            for score in facts.scores
        ]
        known = {
            **self._front_licence(),
            "language": list(facts.languages) or None,
            "base_model": facts.base.hub or None,
            "base_model_relation": self._relation() if facts.base.hub else None,
            "datasets": list(dict.fromkeys(one.hub for one in facts.data if one.hub)) or None,
            "library_name": "peft" if self.runnable.is_adapter else "transformers",
            "pipeline_tag": _PIPELINES.get(self.runnable.kind),
            "tags": self._tags(),
        }
        more = {"eval_results": results, "model_name": _slug(self.title)} if results else {}
        return ModelCardData(**known, **more).to_yaml()

    def _relation(self) -> str | None:
        if self.runnable.is_adapter:
            return "adapter"
        if self.facts.trainings or self.facts.is_adapter:
            return "finetune"
        return "quantized" if self.runnable.is_quantized else None

    def _tags(self) -> list[str]:
        methods = [str(one.spec.get("method.kind") or "") for one in self.facts.trainings]
        adapted = ["lora"] if self.facts.is_adapter else []
        return list(
            dict.fromkeys(filter(None, ["burnish", *(one.stage for one in self.facts.trainings), *methods, *adapted]))
        )

    def _front_licence(self) -> dict[str, str]:
        """`license`: that of the models, unless the data or a second model adds conditions to it."""
        models = {one["licence"] for one in self.facts.licences if one["of"] != "data"} - {UNKNOWN}
        if not models:
            return {}
        stricter = [one["licence"] for one in self.facts.licences if _adds_to(one["licence"], models)]
        if len(models) == 1 and not stricter:
            return _licence_field(*models)
        return {"license": "other", "license_name": _OTHER_CONDITIONS, "license_link": "README.md#licence"}

    def _head(self) -> str:
        facts = self.facts
        what = {"causal": "a language model", "reward": "a reward model, which scores answers"}.get(
            self.runnable.kind, "a model"
        )
        if self.runnable.is_adapter:
            what = f"a LoRA adapter for {_model(facts.base.hub, facts.base.ref)}"
        size = f"{self.parameters:,} parameters" + (f" in {self.dtype}" if self.dtype else "")
        built = [one.demands.built_with for one in demanded(facts.licences) if one.demands.built_with]
        lines = [f"# {self.title}", "", *(f"**{sentence}**\n" for sentence in dict.fromkeys(built))]
        family = f", {self.runnable.architecture}" if self.runnable.architecture else ""
        lines += [f"{what[0].upper()}{what[1:]}: {size}{family}. Written by burnish {VERSION}.", ""]
        return "\n".join(lines)

    def _base(self) -> list[str]:
        base = self.facts.base
        if base.ref == self.facts.ref and not base.hub:
            return ["Unknown: no record says what this model was made from."]
        shown = _model(base.hub, base.ref)
        pins = [
            f"revision `{base.revision}`" if base.revision else "",
            f"sha256 `{base.fingerprint[:16]}`" * bool(base.fingerprint),
        ]
        return [", ".join([shown, *filter(None, pins)]) + "."]

    def _data(self) -> list[str]:
        if not self.facts.data:
            return ["Unknown: no step of burnish made this model from data."]
        rows = [
            [
                f"[{one.hub}](https://huggingface.co/datasets/{one.hub})" if one.hub else f"`{one.ref}`",
                f"{one.rows:,}" if one.rows else "",
                ", ".join(one.languages),
                f"`{one.fingerprint[:16]}`" if one.fingerprint else "",
            ]
            for one in self.facts.data
        ]
        return [_table(["rows of", "kept", "languages (detected)", "sha256"], rows)]

    def _training(self) -> Iterator[str]:
        if not self.facts.trainings:
            yield "Unknown: no step of burnish trained this model."
        for one in self.facts.trainings:
            found = ", ".join(f"{name} {_number(value)}" for name, value in _figures(one.measures))
            yield f"**{one.step}** (`{one.stage}`)" + (f": {found}" if found else "")
            yield settings_table(one)

    def _scores(self) -> list[str]:
        facts = self.facts
        if not facts.scores:
            return ["None are known."]
        what = f"{facts.confidence:.0%} interval" if facts.confidence else "interval"
        rows = [
            [f"`{one.name}`", _number(one.value), _interval(one), f"{one.rows:,}" if one.rows else "", f"`{one.data}`"]
            for one in facts.scores
        ]
        note = [f"Of {_model('', facts.ref)}, from which this folder was made."]
        left_out = [f"Not shown: {'; '.join(facts.left_out)}."] if facts.left_out else []
        return [*note, _table(["score", "value", what, "rows", "data"], rows), *left_out]

    def _proof(self) -> list[str]:
        lines: list[str] = []
        for step, proof in self.facts.proofs.items():
            counts = (
                f"{proof.get('held', 0)} hold, {proof.get('failed', 0)} do not, {proof.get('errors', 0)} with an error"
            )
            lines.append(f"**{step}**, checks of the training on its own rows: {counts}.")
            rows = [[str(c["name"]), str(c["verdict"]), _cell(c.get("found", ""))] for c in proof["checks"]]
            lines.append(_table(["check", "verdict", "found"], rows))
        return lines

    def _certificate(self) -> list[str]:
        found = self.certificate
        earlier = [f"Before: {text}." for text in self.facts.certificates]
        if found is None:
            return [f"This folder is not certified: {self.why_uncertified}.", *earlier]
        rows = [[c["name"], c["verdict"], _cell(c["found"]), _cell(c["limit"])] for c in found["checks"]]
        text = (
            f"This folder was loaded and compared with {_model('', self.facts.ref)}, as '{found['change']}' of it, on "
        )
        text += f"{found['tokens']:,} tokens of {found['rows']:,} rows."
        return [text, _table(["check", "verdict", "found", "limit"], rows), *earlier]

    def _recipe(self) -> list[str]:
        facts = self.facts
        steps = dict(facts.steps.values)
        name, number = "export", 2
        while name in steps:
            name, number = f"export-{number}", number + 1
        model = f"step:{facts.step}" if facts.step else facts.ref
        steps[name] = {"stage": "export", **self.export, "model": model}
        text = recipe_text(_slug(self.title), steps)
        return ["It is made again by `burnish run recipe.yaml`, with this file:", f"```yaml\n{text}```"]

    def _licence(self) -> list[str]:
        facts = self.facts
        rows = [[f"`{one['ref']}`", one["of"], one["licence"], one["stated_in"]] for one in facts.licences]
        lines = [_table(["of", "role", "licence", "stated in"], rows)] if rows else ["Unknown."]
        points = list(facts.consequences)
        for one in demanded(facts.licences):
            if one.demands.passed_on:
                points.append(f"{one.demands.title}: who uses this model is bound by {one.demands.passed_on}")
        points += [f"missing here: {text}" for text in self.lacking]
        if points:
            lines += [
                "What follows, as far as burnish knows (no legal advice):",
                "\n".join(f"- {text}" for text in points),
            ]
        return lines


def settings_table(training: Training) -> str:
    """The settings of a training; references are those that `public_reference` gives."""
    names = (*_SETTINGS, *sorted(training.given))
    found = {name: training.spec.get(name) for name in names if name not in _HIDDEN}
    rows = [[f"`{name}`", _shown(public_values(value))] for name, value in found.items() if _is_set(value)]
    return _table(["setting", "value"], rows)


def _is_set(value: Any) -> bool:
    return value not in (None, "", [], False)


def _adds_to(licence: str, models: set[str]) -> bool:
    """Whether a licence has conditions that those of the models do not state."""
    terms = TERMS.get(licence)
    if licence in models or terms is None:
        return False
    return not terms.commercial or not terms.derivatives or terms.share_alike or bool(terms.extra)


def _licence_field(licence: str) -> dict[str, str]:
    if licence in TERMS:
        return {"license": licence}
    return {"license": "other", "license_name": _slug(licence), "license_link": "README.md#licence"}


def _section(title: str, parts: Sequence[str] | Iterator[str]) -> str:
    text = "\n\n".join(filter(None, parts))
    return f"## {title}\n\n{text}\n" if text else ""


def _snippet(one: Snippet) -> str:
    code = f"\n\n```{one.language}\n{one.code.rstrip()}\n```" if one.code else ""
    return f"### {one.tool}" + (f"\n\n{one.text}" if one.text else "") + code


def _model(hub: str, ref: str) -> str:
    return f"[{hub}](https://huggingface.co/{hub})" if hub else f"`{ref}`"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    return "\n".join([*lines, *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)])


def _cell(text: Any) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(str(text).split()))


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return "unknown"
    return f"{_number(score.low)} to {_number(score.high)}"


def _figures(measures: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name in ("steps", "rows", "tokens", "loss", "train_loss", "eval_loss", "best_eval_loss"):
        value = measures.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _shown(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str | bool | list) else _number(value)


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "model"
