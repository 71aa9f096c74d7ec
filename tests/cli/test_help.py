"""Help that fits a terminal of 80 columns, and options that cannot be dropped in silence."""

import re

import pytest
from pydantic import TypeAdapter

from burnish.cli.command import SECTIONS
from burnish.cli.stages import _flags
from burnish.core.catalog import stages
from burnish.core.recipes.yaml import parse_yaml

GROUPS = [("--help",), *((name, "--help") for name in ("runs", "adapters", "models"))]


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_no_summary_is_cut_at_80_columns(burnish, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "80")
    said = burnish(*words).out
    listed = said[said.index("Commands:") :]
    assert len(re.findall(r"^  \w", listed, re.M)) > 5
    assert "..." not in listed
    assert max(map(len, said.splitlines())) <= 80


def test_every_command_is_in_a_section_of_the_help(burnish, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = burnish("--help").out
    sections = re.findall(r"^(\S.*):$", said, re.M)
    assert sections[sections.index("Commands") :] == [*SECTIONS, "Others"]
    listed = re.findall(r"^  ([a-z][\w-]*)  ", said[said.index("Commands:") :], re.M)
    ours = [name for names in SECTIONS.values() for name in names]
    assert listed[: len(ours)] == ours
    assert all(name.startswith("quick-") for name in listed[len(ours) :])  # stages of another package


def test_the_help_of_a_stage_lists_what_a_setting_can_be(burnish, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = " ".join(burnish("gguf", "--help").out.split())
    assert "--form model|lora" in said
    assert "--certify true|false" in said
    assert "--type VALUE" in said
    assert "One of F32, F16, BF16, Q8_0," in said
    assert "--threads VALUE" in said  # auto, or a number


def test_every_stage_has_a_summary_of_one_sentence():
    for name, row in stages().items():
        summary = (row.spec_type().__doc__ or "").split("\n")[0]
        assert re.fullmatch(r"[A-Z][^.]{10,61}\.", summary), name


ONCE = [
    ("run", "r.yaml", "--from", "make", "--from", "join"),
    ("plan", "r.yaml", "--from=make", "--from=make"),
    ("quick-make", "--word", "a", "--word", "b"),
    ("inspect", "rows.csv", "--rows", "1", "--rows=2"),
    ("chat", "builtin:pocket", "--ask", "a", "--ask", "b"),
    ("runs", "list", "--most", "1", "--most", "2"),
]


@pytest.mark.parametrize("words", ONCE, ids=" ".join)
def test_an_option_of_one_value_is_not_taken_twice(burnish, recipe, words):
    said = burnish(*words)
    assert said.status == 2
    assert "is given twice" in said.err


def test_a_value_that_looks_like_an_option_is_a_value(burnish, recipe):
    assert "given twice" not in burnish("quick-make", "--word", "--word", "--dry-run").err


def test_a_step_to_run_anew_must_be_among_those_that_are_kept(burnish, recipe):
    for flag in ("--force", "--from"):
        said = burnish("plan", recipe, "--only", "make", flag, "join")
        assert said.status == 2
        assert "'join' is forced but excluded by --only" in said.err
    assert burnish("plan", recipe, "--only", "join", "--force", "make").status == 0
    assert burnish("plan", recipe, "--only", "make", "--force", "*").status == 0


def test_a_setting_without_a_value_is_refused_and_null_is_said(burnish, recipe):
    for words in (("--set", "make.word="), ("--set", "make.word= ")):
        said = burnish("plan", recipe, *words)
        assert said.status == 2
        assert "no value after the =" in said.err
        assert "make.word=null" in said.err


def test_sampling_settings_without_sampling_are_refused(burnish):
    for flag in (("--top-p", "0.9"), ("--seed", "1")):
        said = burnish("chat", "builtin:pocket", "--ask", "x", *flag)
        assert said.status == 2
        assert f"{flag[0]} has no effect at temperature 0" in said.err


def test_a_wrong_kind_of_input_is_told_with_its_place_and_name(burnish, workspace):
    (workspace.root / "rows.jsonl").write_text('{"text": "a"}\n')
    path = workspace.root / "x.yaml"
    path.write_text("name: x\nsteps:\n  m:\n    stage: merge\n    model: file:rows.jsonl\n")
    said = burnish("plan", path)
    assert f"{path}:5: 'm.model' expects model or adapter, but file:rows.jsonl is a file" in said.err


@pytest.mark.parametrize(
    ("words", "command", "hint"),
    [
        (("sftt",), "burnish sftt", "did you mean 'sft'?"),
        (("helpp",), "burnish helpp", "did you mean 'help'?"),
        (("paln", "demo"), "burnish paln", "did you mean 'plan'?"),
        (("quick-mak",), "burnish quick-mak", "did you mean 'quick-make'?"),
        (("runs", "lst"), "burnish runs lst", "did you mean 'list'?"),
        (("qqq",), "burnish qqq", "known names: "),
        (("mine.yaml",), "burnish mine.yaml", "run a recipe with `burnish run mine.yaml`"),
        (("help", "sftt"), "burnish sftt", "did you mean 'sft'?"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(burnish, words, command, hint):
    done = burnish(*words)
    assert done.status == 2
    assert f"there is no command '{command}'" in done.err
    assert hint in done.err


def test_help_may_be_asked_for_more_than_once(burnish):
    assert burnish("help", "help").out == burnish("--help").out == burnish("help", "help", "--help").out
    assert burnish("help", "help", "runs").out == burnish("runs", "--help").out


@pytest.mark.parametrize("name", stages())
def test_defaults_of_a_stage_are_shown_as_the_yaml_that_gives_them(name):
    for path, (info, shown, _) in _flags(stages()[name].spec_type()):
        if not shown or shown == "required":
            continue
        given = parse_yaml(shown.encode(), "help").value
        assert TypeAdapter(info.annotation).validate_python(given) == info.get_default(call_default_factory=True), path
        assert not re.search(r"\bTrue\b|\bFalse\b|\bNone\b|\w\(kind", shown), path


def test_a_default_with_fields_is_short(burnish, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "[[{kind: exact_match}]]" in burnish("evaluate", "--help").out
