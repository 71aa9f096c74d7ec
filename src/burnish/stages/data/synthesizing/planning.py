"""The settings of `kind: model` as a plan: the models, the prompts, the given rows, topics and tools."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from burnish.core.context import Context
from burnish.core.events import Chosen, Progress
from burnish.data.dedup.incremental import NearDuplicates
from burnish.data.dedup.minhash import Scheme
from burnish.data.synthesize.generated import Generated
from burnish.data.synthesize.model.forms import FORMS, Options
from burnish.data.synthesize.model.prompts import Prompt, built_in, read_prompt
from burnish.data.synthesize.model.requests import KNOWN
from burnish.data.synthesize.model.schemas import read_tools
from burnish.data.synthesize.model.slots import Series, Tool, first_request, prompt_turns
from burnish.endpoints.client import Endpoint
from burnish.endpoints.formats import KnownFormats, RequestOf
from burnish.specs.data import ModelSpec, ScoringSpec
from burnish.specs.data.synthesize.model import GIVEN, OF_GIVEN_PROMPTS
from burnish.stages.data.synthesizing.asking import Asker, Tally
from burnish.stages.data.synthesizing.given import Given, read_given
from burnish.stages.data.synthesizing.makers import Answers, Judge, Magpie, Maker, Ranked, Structured
from burnish.stages.data.synthesizing.models import Opened, notes_on, open_generator, open_judge, spent_by
from burnish.stages.data.synthesizing.preliminaries import subtopics_of, tools_of
from burnish.stages.data.synthesizing.rounds import Plan, Rounds

_ROWS = 100
_BANDS, _IN_BAND = 28, 4
"""Prompts are short and few: with so many bands, a pair of similarity 0.5 is compared with probability 0.84."""
_JUDGED_BY_DEFAULT = ScoringSpec(threshold=0.0)
"""Of `ranked` without `judge`: the scores rank, and refuse nothing."""


def by_model(spec: ModelSpec, ctx: Context) -> Generated:
    """Rows by a language model, in the order of their slots, all in the split `train`.

    Errors: AskError `ask.wrong-value` for a prompt or tools that cannot be used; those of reading the given rows and of
    opening models; then those of `Rounds.rows`.
    """
    plan = _plan(spec, ctx)
    rounds = Rounds(plan, ctx)
    return Generated(rounds.rows(), plan.rows, rounds.stats, rounds.measures)


def _plan(spec: ModelSpec, ctx: Context) -> Plan:
    make, tally = spec.make, Tally()
    is_given = make in OF_GIVEN_PROMPTS
    languages = ["en"] if is_given else spec.languages
    given = Given() if spec.given is None else read_given(ctx, spec.split)
    model = open_generator(spec, ctx)
    asker = _asker(model, spec, ctx, tally, spec.response_format if make in FORMS else "auto")
    judge, models = _judge(spec, ctx, model, tally, languages)
    prompts = _prompts(spec.prompt, "generator.prompt", make, languages, ctx) if make in FORMS else {}
    rows = spec.rows or (len(given.rows) if is_given else _ROWS)
    rows = min(rows, len(given.rows)) if is_given else rows
    judging = [] if judge is None else [judge.asker]
    return Plan(
        make=make,
        rows=rows,
        most_slots=len(given.rows) if is_given else math.ceil(rows * spec.excess),
        series=_series(spec, ctx, given, asker, languages),
        maker=_maker(spec, ctx, asker, model, judge, prompts),
        judge=judge,
        near=None if is_given else _near(spec.near_duplicates, given),
        has_own_prompts=not is_given,
        askers=[asker, *judging],
        tally=tally,
        origin={"made": make, "model": model.short},
        prompts={**prompts},
        known=_known(model, prompts, judge, given),
        spent=partial(spent_by, models),
        notes=partial(notes_on, models),
    )


def _asker(model: Opened, spec: ModelSpec, ctx: Context, tally: Tally, wanted: str, **fields: Any) -> Asker:
    """Requests to a model; each form of reply gets the wanted response_format, or with `auto` the first it takes."""

    def tick(done: int, total: int) -> None:
        ctx.emit(Progress(phase="replies", done=done, total=total, unit="requests"))

    def chosen(form: str, asked: Sequence[RequestOf]) -> str:
        if not model.takes_formats or not isinstance(model.chats, Endpoint):
            return "none"
        if wanted != "auto":
            return wanted
        found = KnownFormats(ctx.scratch).choose(f"{model.chats.name}: {form}", model.chats, asked)
        reason = f"{model.chats.name} takes it for {form}"
        ctx.emit(Chosen(field="generator.response_format", value=found, reason=reason))
        return found

    return Asker(model.chats, spec.attempts, spec.seed, tally, tick, model.price_of, chosen, fields)


def _judge(
    spec: ModelSpec, ctx: Context, model: Opened, tally: Tally, languages: Sequence[str]
) -> tuple[Judge | None, list[Opened]]:
    """The judge, if there is one, and all models of the step."""
    scoring = _JUDGED_BY_DEFAULT if spec.judge is None and spec.make == "ranked" else spec.judge
    if scoring is None:
        return None, [model]
    is_own = scoring.endpoint is None
    judging = model if scoring.endpoint is None else open_judge(scoring.endpoint, ctx)
    asker = _asker(judging, spec, ctx, tally, "auto", **({"temperature": 0.0} if is_own else {}))
    prompts = _prompts(scoring.prompt, "generator.judge.prompt", "judge", languages, ctx)
    return Judge(asker, prompts, scoring.threshold), [model] if is_own else [model, judging]


def _prompts(given: str | None, field: str, name: str, languages: Sequence[str], ctx: Context) -> dict[str, Prompt]:
    """The prompt for each language: the file of the settings for all, or the built-in ones."""
    if given is None:
        return {language: built_in(name, language) for language in languages}
    return dict.fromkeys(languages, read_prompt(ctx.input(field).path, KNOWN[name]))


def _near(threshold: float | None, given: Given) -> NearDuplicates | None:
    """The given rows, to compare with."""
    if threshold is None:
        return None
    scheme = Scheme(bands=_BANDS, rows=_IN_BAND, threshold=threshold)
    return NearDuplicates((first_request(prompt_turns(row)) for row in given.rows), scheme)


def _series(
    spec: ModelSpec, ctx: Context, given: Given, asker: Asker, languages: Sequence[str]
) -> Callable[[], Series]:
    """All settings are read now; subtopics and tools are requested when the series is."""
    make, seed, system, starts = spec.make, spec.seed, spec.system, spec.make in GIVEN
    topics, subtopics = (spec.topics, spec.subtopics) if spec.topics else ([""], 0)
    tools = _tools(ctx) if make == "tools" and spec.tools is not None else None
    examples = spec.examples if given.rows and not starts else 0

    def series() -> Series:
        listed = {language: list(topics) for language in languages}
        if subtopics:
            listed = subtopics_of(topics, languages, subtopics, asker, system)
        known: dict[tuple[str, str], Sequence[Tool]] = {}
        if tools is not None:
            known = {(language, topic): tools for language in languages for topic in listed[language]}
        elif make == "tools":
            known = tools_of(listed, asker, system)
        return Series(languages, listed, given.rows, starts, examples, known, seed)

    return series


def _tools(ctx: Context) -> list[Tool]:
    file = ctx.input("generator.tools")
    return read_tools(file.path.read_text(encoding="utf-8-sig", errors="replace"), file.ref)


def _maker(
    spec: ModelSpec, ctx: Context, asker: Asker, model: Opened, judge: Judge | None, prompts: dict[str, Prompt]
) -> Maker:
    if spec.make in FORMS:
        turns = spec.turns if spec.make == "conversation" else 0
        options = Options(turns, spec.results if spec.make == "tools" else True)
        return Structured(spec.make, asker, prompts, options, spec.system)
    if spec.make == "magpie":
        from burnish.stages.data.synthesizing.opening import opening_of

        opening = opening_of(ctx.input("generator.tokenizer" if spec.tokenizer else "generator.model"), spec, ctx)
        texts = Asker(model.texts, asker.attempts, asker.seed, asker.tally, asker.tick, model.price_of)
        return Magpie(texts, asker, opening.fields, opening.specials, spec.system)
    answers = Answers(asker, spec.system)
    return Ranked(answers, spec.candidates, judge) if spec.make == "ranked" and judge is not None else answers


def _known(model: Opened, prompts: dict[str, Prompt], judge: Judge | None, given: Given) -> dict[str, Any]:
    """What stats.json says of where the rows come from."""
    known: dict[str, Any] = {"model": model.chats.name, "prompts": _files(prompts)}
    if judge is not None:
        scored = {"model": judge.asker.model.name, "threshold": judge.threshold}
        known["judge"] = {**scored, "prompts": _files(judge.prompts)}
    if given.rows:
        known["given"] = {"rows": len(given.rows), "left_out": dict(given.left_out)}
    return known


def _files(prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    return {language: {"file": prompt.name, "sha256": prompt.sha256} for language, prompt in prompts.items()}
