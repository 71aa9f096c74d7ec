"""The flags of a stage's command become settings of the right shape."""

import json

import pytest

from burnish.cli.stages import _flags, _parsed
from burnish.specs.train import SftSpec

FLAGS = dict(reversed(list(_flags(SftSpec))))


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("track", "[tensorboard]", ["tensorboard"]),
        ("method.targets", "[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("method.targets", "all-linear", "all-linear"),
        ("method.train_fully", "[lm_head]", ["lm_head"]),
        ("dtype", "float32", "float32"),
        ("threads", "2", 2),
        ("max_grad_norm", "null", None),
        ("render.chat_template", "{{ messages }}", "{{ messages }}"),
    ],
)
def test_a_flag_is_read_as_its_field_says(path, text, value):
    assert _parsed(path, text, FLAGS) == value


def test_a_missing_setting_is_hinted_as_a_flag(burnish):
    said = burnish("sft")
    assert said.status == 2
    assert "add --data …; add --base …; see `burnish sft --help`" in said.err


def test_a_recipe_given_to_a_stage_is_told_as_such(burnish, recipe):
    said = burnish("sft", recipe)
    assert said.status == 2
    assert f"run it with `burnish run {recipe}`" in said.err


def test_a_list_is_shown_in_the_help_and_in_errors_as_it_is_written(burnish):
    assert "Several: '[A, B]'" in " ".join(burnish("sft", "--help").out.split())
    said = burnish("sft", "--data", "builtin:x", "--base", "builtin:pocket", "--track", "tensorboard,wandb")
    assert said.status == 2
    assert "given: 'tensorboard,wandb'" in said.err
    assert "Several are written as [A, B]" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--lora-rank", "burnish calls it --method.rank"),
        ("--lora_rank", "burnish calls it --method.rank"),
        ("--lr", "burnish calls it --learning-rate"),
        ("--rank", "it is --method.rank"),
        ("--output-dir", "output is written to runs/, see `burnish runs show`; remove it, or set --workspace"),
        ("--val-size", "burnish calls it split.validation, a setting of another stage"),
    ],
)
def test_the_flag_of_another_tool_leads_to_that_of_burnish(burnish, option, hint):
    found = burnish("sft", option, "8")
    assert found.status == 2
    assert f"there is no option {option}" in found.err
    assert f"{hint}; see `burnish sft --help`" in found.err


def test_a_flag_that_nobody_knows_is_refused_as_such(burnish):
    found = burnish("sft", "--zzzz", "8")
    assert (found.status, "No such option: --zzzz" in found.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (
            ["builtin:pocket", "again=builtin:pocket", "--data", "rows.jsonl"],
            {"pocket": {"ref": "builtin:pocket"}, "again": {"ref": "builtin:pocket"}},
        ),
        (
            ["./model", "https://api.example.com/v1#big", "--data", "rows.jsonl"],
            {
                "model": {"ref": "file:HERE/model"},
                "big": {"endpoint": {"url": "https://api.example.com/v1", "model": "big"}},
            },
        ),
        (
            ["--candidates", "a=builtin:pocket", "--candidates", "b=./model", "--data", "rows.jsonl"],
            {"a": {"ref": "builtin:pocket"}, "b": {"ref": "file:HERE/model"}},
        ),
        (
            ["b=./model", "--candidates", "{a: builtin:pocket}", "--data", "rows.jsonl"],
            {"a": {"ref": "builtin:pocket"}, "b": {"ref": "file:HERE/model"}},
        ),
        (
            ["settings.yaml", "b=./model", "--data", "rows.jsonl"],
            {"a": {"ref": "builtin:pocket"}, "b": {"ref": "file:HERE/model"}},
        ),
    ],
)
def test_candidates_are_words_of_the_command_or_a_flag(burnish, workspace, words, settings):
    (workspace.root / "rows.jsonl").write_text('{"text": "x"}\n')
    (workspace.root / "settings.yaml").write_text("candidates: {a: builtin:pocket}\nmax_rows: 5\n")
    (workspace.root / "model").mkdir()
    (workspace.root / "model" / "config.json").write_text('{"model_type": "llama"}')
    found = burnish("--json", "compare", *words, "--dry-run")
    assert found.status == 0, found.err
    given = json.loads(found.out)["values"]["steps"]["compare"]
    expected = json.loads(json.dumps(settings).replace("HERE", str(workspace.root)))
    assert given["candidates"] == expected
    assert given.get("max_rows") == (5 if "settings.yaml" in words else None)
    assert given["data"] == f"file:{workspace.root}/rows.jsonl"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["builtin:pocket", "builtin:pocket"], "'pocket' is given twice"),
        (["a=builtin:pocket", "--candidates", "a=builtin:pocket"], "'a' is given twice"),
        (["--candidates", "a=builtin:pocket", "--candidates", "a=builtin:pocket"], "'a' is given twice"),
        (["--candidates", "builtin:pocket"], "expected NAME=VALUE"),
        (["builtin:pocket", "settings.yaml"], "No such file"),
        (["builtin:pocket"], "at least 2 items"),
    ],
)
def test_candidates_that_cannot_be_meant_are_refused(burnish, words, message):
    found = burnish("compare", *words, "--data", "rows.jsonl", "--dry-run")
    assert (found.status, message in found.err) == (2, True), found.err


def test_regression_sets_and_margins_are_flags_with_names(burnish, workspace):
    (workspace.root / "rows.jsonl").write_text('{"text": "x"}\n')
    (workspace.root / "core.txt").write_text("00\n")
    (workspace.root / "gate.yaml").write_text("- {regressions: core}\n")
    words = ("builtin:pocket", "b=builtin:pocket", "--data", "rows.jsonl", "--gate", "gate.yaml")
    found = burnish(
        *("--json", "compare", *words, "--regressions", "core=core.txt", "--margins", "exact_match=0.02", "--dry-run")
    )
    given = json.loads(found.out)["values"]["steps"]["compare"]
    assert given["regressions"] == {"core": f"file:{workspace.root}/core.txt"}
    assert given["margins"] == {"exact_match": 0.02}
    assert given["gate"] == f"file:{workspace.root}/gate.yaml"
    inputs = json.loads(found.out)["steps"][0]["inputs"]
    assert {"gate", "regressions.core", "candidates.pocket.ref", "candidates.b.ref", "data"} == set(inputs)


def test_the_one_operand_of_a_command_is_its_field(burnish):
    said = burnish("certify", "builtin:pocket", "--parent", "builtin:pocket", "--dry-run")
    assert said.status == 0, said.err
    said = burnish("certify", "builtin:pocket", "builtin:pocket", "--parent", "builtin:pocket", "--dry-run")
    assert said.status == 2
    assert "child is given twice" in said.err


@pytest.mark.parametrize("stage", ["gguf", "merge", "serve"])
def test_a_stage_with_a_model_takes_it_as_a_word(burnish, workspace, stage):
    said = burnish("--json", stage, "builtin:pocket", "--dry-run")
    assert said.status == 0, said.err
    [step] = json.loads(said.out)["steps"]
    assert step["inputs"] == {"model": "builtin:pocket"}
    twice = burnish(stage, "builtin:pocket", "--model", "builtin:pocket", "--dry-run")
    assert "model is given twice" in twice.err


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        (["--near-dedup", "true"], True),
        (["--near-dedup", "{threshold: 0.9}"], {"threshold": 0.9}),
        (["--near-dedup", "true", "--near-dedup.threshold", "0.9"], {"threshold": 0.9}),
    ],
)
def test_a_part_that_may_be_true_has_a_flag_of_its_own(burnish, workspace, flags, value):
    (workspace.root / "rows.jsonl").write_text('{"text": "x"}\n')
    said = burnish("--json", "clean", "rows.jsonl", *flags, "--dry-run")
    assert said.status == 0, said.err
    assert json.loads(said.out)["values"]["steps"]["clean"]["near_dedup"] == value


def test_words_after_dashes_are_arguments_of_vllm(burnish):
    words = ["--gpu-memory-utilization", "0.5", "--enforce-eager", "--seed=-1"]
    found = burnish("--json", "serve", "builtin:pocket", "--engine", "vllm", "--dry-run", "--", *words)
    assert found.status == 0, found.err
    given = json.loads(found.out)["values"]["steps"]["serve"]
    assert given == {"stage": "serve", "model": "builtin:pocket", "engine": "vllm", "vllm_args": words}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--vllm-args", "[--enforce-eager]", "--", "--seed=1"], "vllm_args is given twice"),
        (["--engine", "llama", "--", "--enforce-eager"], "vllm_args has no effect with engine: llama"),
        (["--", "--port", "9"], "--port is not possible here"),
        (["--", "builtin:pocket"], "is no flag"),
    ],
)
def test_words_after_dashes_that_cannot_reach_vllm_are_refused(burnish, words, why):
    found = burnish("serve", "builtin:pocket", "--dry-run", *words)
    assert (found.status, why in " ".join(found.err.split())) == (2, True), found.err


@pytest.mark.parametrize("stage", ["fetch", "clean", "prepare", "profile"])
def test_stages_of_data_take_the_rows_as_a_word(burnish, tmp_path, stage):
    """As the guides write it: `burnish clean corpus.jsonl`."""
    (tmp_path / "corpus.jsonl").write_text('{"text": "words of a row"}\n')
    file = tmp_path / "corpus.jsonl"
    said = burnish("--json", stage, str(file), "--dry-run")
    assert said.status == 0, said.err
    assert json.loads(said.out)["values"]["steps"][stage]["source"] == f"file:{file}"
    twice = burnish(stage, str(file), "--source", str(file), "--dry-run")
    assert (twice.status, "source is given twice" in twice.err) == (2, True)
