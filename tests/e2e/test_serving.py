"""An adapter as people call it: a GGUF file served over HTTP, tested, and certified against its parent."""

import json

import pytest

import burnish
from burnish.studio.demo.serving import serving

pytestmark = [pytest.mark.timeout(600), pytest.mark.torture]  # the demo has the same chain; this one every type
POCKET = "builtin:pocket"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """(workspace, reference of a trained adapter, reference of its held-out rows)."""
    root = tmp_path_factory.mktemp("serving")
    rows = root / "rows.jsonl"
    turns = [
        [
            {"role": "user", "content": f"What is {n} May 2024 in ISO format?"},
            {"role": "assistant", "content": f"<{n}>"},
        ]
        for n in range(1, 29)
    ]
    rows.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns))
    settings = {"max_steps": 60, "batch_tokens": 256, "learning_rate": 2e-3, "prove": "off"}
    settings["render"] = {"train_on": "all"}  # perplexity is compared on prompts too
    tuned = burnish.run_stage("sft", workspace=root, base=POCKET, data=f"file:{rows}", **settings)
    return root, f"file:{tuned.path}", f"file:{rows}"


@pytest.mark.parametrize("type", ["F32", "F16", "Q8_0", "Q4_K_M"])
def test_an_adapter_that_is_served_is_certified_against_its_parent(adapter, type):
    root, parent, rows = adapter
    made = burnish.run_stage("gguf", workspace=root, model=parent, type=type, prove_strings=200, data=rows)
    with serving(f"file:{made.path}", root, name="tuned") as url:
        tested = burnish.smoke_test(url, require=["completions", "logprobs", "wrong_model"])
        given = burnish.run_stage(
            "generate", workspace=root, endpoint={"url": url, "model": "tuned"}, data=rows, max_rows=4
        )
        endpoint = {"url": url, "model": "tuned"}
        found = burnish.run_stage(
            "certify", workspace=root, endpoint=endpoint, parent=parent, change=type, data=rows, max_rows=28
        )
    assert (tested["model"], tested["holds"]) == ("tuned", True)
    verdicts = {check["name"]: check["verdict"] for check in tested["checks"]}
    assert {name for name, verdict in verdicts.items() if verdict == "fails"} == set()
    assert given.metrics["answers"] == 4
    checks = {check["name"]: check["verdict"] for check in found.artifact.certificate["checks"]}
    assert {checks[name] for name in ("tokens", "finite", "kl", "top-1", "greedy")} == {"holds"}
