"""What a person reads of the completions of a training on rewards."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

import burnish
from burnish.cli.rows.rollouts import print_rollouts
from burnish.core.errors import AskError, RunError
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.rollout import ledger
from burnish.train.rollout.store import Rollout, RolloutFolder


def group(number, step, rewards, rollout=0):
    completions = [
        {
            "text": f"answer {place}",
            "finish_reason": "stop" if place else "length",
            "tokens": 3,
            "reward": reward,
            "advantage": 0.5,
            "learned": reward is not None,
            "rewards": {"number": reward, "length": None},
            "why": {"number": "\x1b[31mwrong", "length": "no limit"},
        }
        for place, reward in enumerate(rewards)
    ]
    about = {"rollout": rollout, "step": step, "id": f"{number:016x}", "source": f"rows.jsonl:{number}"}
    prompt = [{"role": "user", "content": "How many?\n" * 80}]
    return {**about, "prompt": prompt, "reference": "#### 72", "completions": completions}


@pytest.fixture
def folder(tmp_path):
    """Rollouts that begin at steps 1, 3 and 5."""
    made = RolloutFolder(tmp_path / "rollouts")
    rows = TokenisedRows.of([("a", np.arange(3, dtype=np.int32), np.ones(3, np.float32))])
    for number in range(3):
        rollout = Rollout(number, rows, np.zeros(1, np.int64), np.ones(1, np.bool_), {"reward": 0.1})
        made.save(rollout, [group(place, 1 + 2 * number, [0.1 * place, None, 1.0], number) for place in range(4)])
    return made


def test_the_completions_of_a_step_are_those_of_its_rollout(folder, tmp_path):
    ledger.publish(folder, tmp_path / "rollouts.parquet")
    for place in (folder.path, tmp_path / "rollouts.parquet"):
        assert {line["rollout"] for line in ledger.completions_at(place, 3)} == {1}
        assert {line["rollout"] for line in ledger.completions_at(place, 4)} == {1}
        assert {line["rollout"] for line in ledger.completions_at(place, None)} == {2}
        with pytest.raises(AskError, match="the first rollout begins at step 1"):
            ledger.completions_at(place, 0)
        assert {line["rollout"] for line in ledger.completions_at(place, 6)} == {2}
        with pytest.raises(AskError, match="at step 999: the last rollout begins at step 5") as caught:
            ledger.completions_at(place, 999)
        assert caught.value.code == "ask.wrong-value"
    assert ledger.completions_at(folder.path, 4) == ledger.completions_at(tmp_path / "rollouts.parquet", 4)


@pytest.mark.parametrize("damage", ["empty", "torn", "missing"])
def test_damaged_completions_are_named(folder, tmp_path, damage):
    file = folder.path / "00000001" / "completions.jsonl"
    whole = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(b"" if damage == "empty" else whole[:-9])
    for read in (
        lambda: ledger.completions_at(folder.path, None),
        lambda: ledger.publish(folder, tmp_path / "rollouts.parquet"),
    ):
        with pytest.raises(RunError, match=r"rollout 1 in .*completions\.jsonl") as caught:
            read()
        assert caught.value.code == "run.broken-record"


def test_a_damaged_table_of_completions_is_named(folder, tmp_path):
    file = tmp_path / "rollouts.parquet"
    ledger.publish(folder, file)
    content = file.read_bytes()
    file.write_bytes(content[:-30] + bytes(byte ^ 255 for byte in content[-30:-8]) + content[-8:])
    with pytest.raises(RunError, match=r"rollouts\.parquet is damaged: it cannot be read") as caught:
        ledger.completions_at(file, None)
    assert caught.value.code == "run.damaged-artifact"


def test_a_rollout_is_read_back_bit_for_bit(folder):
    found = folder.read(1)
    assert (found.number, found.metrics, found.rows.row_ids) == (1, {"reward": 0.1}, ("a",))
    assert (
        found.rows.digest() == TokenisedRows.of([("a", np.arange(3, dtype=np.int32), np.ones(3, np.float32))]).digest()
    )
    folder.forget_rows([1])
    assert [folder.read(number) is not None for number in range(3)] == [False, True, False]
    assert folder.damage(0, rows=False) is None
    assert "missing" in folder.damage(0, rows=True)


def shown(found, **more):
    screen = io.StringIO()
    print_rollouts(Console(file=screen, width=80), found, **more)
    return screen.getvalue()


def test_a_completion_is_read_with_each_reward_and_its_reason(folder):
    lines = ledger.completions_at(folder.path, 1)
    for line in lines:
        line["prompt"] = json.loads(line["prompt"])
    found = {"run": "r/1/practise", "rollout": 0, "first_step": 1, "completions": 12, "reward": 0.575, "best": []}
    text = shown(found | {"worst": lines[:2]})
    assert text.startswith("r/1/practise  rollout 0, from step 1: 12 completions, mean reward 0.575\n")
    assert "rollout 0, from step 1 (step 2 is requested): 12" in shown(found | {"at": 2, "worst": []})
    assert "rows.jsonl:0  sample 0, 3 tokens, truncated\n" in text
    assert "sample 1, 3 tokens, not learned\n" in text
    assert "    number 0  \\x1b[31mwrong\n" in text
    assert "    length –  no limit\n" in text
    assert "    completion: answer 1\n    reference: #### 72\n" in text
    assert " …\n" in text
    assert shown(found | {"worst": lines[:1]}, full=True).count("How many?") == 80


def test_a_run_without_rollouts_is_named(workspace, monkeypatch, quick_stages):
    recipe = {"name": "r", "steps": {"a": {"stage": "quick-make"}}}
    burnish.run(recipe, workspace=workspace.root)
    with pytest.raises(AskError, match=r"step 'a' \(quick-make\) has no rollout ledger"):
        burnish.rollouts(workspace=workspace.root)
    with pytest.raises(AskError, match="worst is -1"):
        burnish.rollouts(worst=-1, workspace=workspace.root)
