"""The certify stage: its files, its record, how the change is found, and how a certificate that fails ends a run."""

import json
from dataclasses import replace

import pytest
import torch

import burnish
from burnish.core.errors import AskError, RunError
from burnish.core.events import Chosen, Table
from burnish.evals.certificates.change import change_of
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals import CertifySpec
from burnish.stages.evals.certify import run
from burnish.testing import ScoringServer, temporary_context, tiny_tokenizer
from burnish.tokens.load import load_tokenizer
from certified import copy_of, edit_json, make_adapter, make_base

QUICK = {"tokens": 200, "answers": 2, "seed": 3, "device": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def faulty(base, tmp_path_factory):
    def scaled(tensors):
        tensors["model.layers.1.mlp.down_proj.weight"].mul_(1.02)

    return copy_of(base, tmp_path_factory.mktemp("faulty") / "model", scaled)


def test_it_writes_a_certificate_and_a_report_and_records_them(base, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"prompt": "What is {n}?", "completion": "It is {n}."}}\n' for n in range(6)))
    parent = copy_of(base, tmp_path / "parent")
    (parent / "notes.txt").write_text("what it was converted from")
    ctx, events = temporary_context(tmp_path / "run", {"child": base, "parent": parent, "data": rows})
    found = run(CertifySpec(child="file:a", parent="file:a", data="file:b", max_rows=4, **QUICK), ctx)
    assert found.kind == "certificate"
    record = json.loads((ctx.out / "certificate.json").read_text())
    assert record == {**found.certificate, "numbers": record["numbers"]}
    assert record["holds"] is True
    assert record["parent"] == {"ref": f"file:{parent}", "fingerprint": ""}
    report = (ctx.out / "report.md").read_text()
    assert "The certificate holds" in report
    assert "held-out rows" in report
    assert (ctx.out / "report.html").is_file()
    assert [event.value for event in events if isinstance(event, Chosen)] == ["same"]
    [table] = [event for event in events if isinstance(event, Table)]
    assert {row[1] for row in table.rows} == {"holds"}
    assert found.measures["kl"] == 0.0


def test_a_model_is_not_certified_against_itself(base, tmp_path):
    adapter = make_adapter(base, tmp_path / "adapter")
    for child in (base, adapter):
        link = tmp_path / f"link-{child.name}"
        link.symlink_to(child)
        for number, parent in enumerate((child, link)):
            ctx, _ = temporary_context(tmp_path / child.name / str(number), {"child": child, "parent": parent})
            with pytest.raises(AskError, match="is the same model as the child") as caught:
                run(CertifySpec(child="file:a", parent="file:b", **QUICK), ctx)
            assert caught.value.code == "ask.wrong-value"


@pytest.mark.parametrize("kind", ["model", "adapter"])
def test_a_copy_of_the_files_is_certified_and_said_to_be_one(base, tmp_path, kind):
    parent = base if kind == "model" else make_adapter(base, tmp_path / "adapter")
    ctx, _ = temporary_context(tmp_path / "run", {"child": copy_of(parent, tmp_path / "copy"), "parent": parent})
    record = run(CertifySpec(child="file:a", parent="file:b", **QUICK), ctx).certificate
    assert record["holds"]
    assert {"name": "files", "verdict": "holds", "found": "the files are identical", "limit": ""} in record["checks"]


def test_files_that_differ_are_not_said_to_be_a_copy(base, faulty, tmp_path):
    ctx, _ = temporary_context(tmp_path / "run", {"child": faulty, "parent": base})
    record = run(CertifySpec(child="file:a", parent="file:b", **QUICK), ctx).certificate
    assert "files" not in {check["name"] for check in record["checks"]}


def test_a_certificate_that_fails_is_an_artifact_and_ends_the_command(base, faulty, workspace):
    settings = {"child": f"file:{faulty}", "parent": f"file:{base}", **QUICK}
    for _ in range(2):  # the second time it is reused
        with pytest.raises(RunError, match=r"does not hold for 'same' of .*: kl, .*weights") as caught:
            burnish.run_stage("certify", workspace=workspace.root, **settings)
        assert caught.value.code == "run.certificate-failed"
        assert "1 of" not in caught.value.what, "the table says what was found"
        assert "report is in" in caught.value.fix
    [shown] = burnish.show("certify/1", workspace=workspace.root)
    assert shown["certificate"]["holds"] is False
    assert (burnish.runs(workspace=workspace.root)[0]["kind"]) == "certificate"


def test_an_endpoint_is_certified_for_the_change_that_is_named(base, faulty, tmp_path):
    model, tokenizer = load_model(base), load_tokenizer(base)

    def scores(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0].log_softmax(-1).numpy()

    with ScoringServer(scores, lambda token: tokenizer.decode([token])) as server:
        endpoint = EndpointSpec(url=server.url, model="m", concurrency=1)
        ctx, _ = temporary_context(tmp_path / "good", {"parent": base})
        assert run(CertifySpec(endpoint=endpoint, parent="file:a", change="q8_0", **QUICK), ctx).certificate["holds"]
        ctx, _ = temporary_context(tmp_path / "other", {"parent": faulty})
        found = run(CertifySpec(endpoint=endpoint, parent="file:a", change="F16", **QUICK), ctx).certificate
        assert found["child"]["ref"] == f"m at {server.url}"
        assert not found["holds"]
        with pytest.raises(AskError, match="the kind of change is unknown"):
            run(CertifySpec(endpoint=endpoint, parent="file:a", **QUICK), ctx)


def test_replies_of_an_endpoint_are_kept_for_a_killed_run_and_for_no_other(base, tmp_path):
    """Another model may be served under the same name by then."""
    model, tokenizer = load_model(base), load_tokenizer(base)
    served = [1.0]

    def scores(ids):
        with torch.no_grad():
            return (model(torch.tensor([ids])).logits[0] * served[0]).log_softmax(-1).numpy()

    def certified(name):
        ctx, _ = temporary_context(tmp_path / name, {"parent": base})
        ctx = replace(ctx, cache=tmp_path / "cache")
        endpoint = EndpointSpec(url=server.url, model="m", concurrency=1)
        return run(CertifySpec(endpoint=endpoint, parent="file:a", change="F16", **QUICK), ctx).certificate["holds"]

    with ScoringServer(scores, lambda token: tokenizer.decode([token])) as server:
        assert certified("first")
        asked = sum("prompt" in request for request in server.seen)
        assert certified("first"), "as a killed run that resumes in its folder"
        assert sum("prompt" in request for request in server.seen) == asked
        served[0] = 0.5
        assert not certified("second")


def test_a_spec_has_one_child_and_one_parent():
    endpoint = {"url": "http://server.example/v1", "model": "m"}
    for given in (
        {"child": "file:a"},
        {"child": "file:a", "endpoint": endpoint, "parent": "file:b"},
        {"endpoint": endpoint, "parent_endpoint": endpoint},
    ):
        with pytest.raises(ValueError, match=r"either|one of the two"):
            CertifySpec.model_validate(given)


def test_the_kind_of_change_is_found_in_the_files(base, tmp_path):
    adapter = make_adapter(base, tmp_path / "adapter")
    merge_adapter(adapter, base, tmp_path / "merged")
    merge_adapter(adapter, base, tmp_path / "bf16", dtype="bfloat16")
    load_model(base, dtype=torch.float16).save_pretrained(tmp_path / "f16")
    tiny_tokenizer(tmp_path / "f16")
    quantized = {
        "awq": "AWQ",
        "gptq": "GPTQ",
        "fp8": "FP8",
        "bitsandbytes": "INT8",
    }
    assert change_of(base, base) == "same"
    assert change_of(adapter, adapter) == "same"
    assert change_of(adapter, tmp_path / "merged") == "merge fp32"
    assert change_of(adapter, tmp_path / "bf16") == "merge bf16"
    assert change_of(base, tmp_path / "f16") == "F16"
    assert change_of(tmp_path / "f16", base) == "same"
    for method, change in quantized.items():
        child = copy_of(base, tmp_path / method)
        edit_json(child / "config.json", lambda c, m=method: c.update(quantization_config={"quant_method": m}))
        assert change_of(base, child) == change
    edit_json(child / "config.json", lambda config: config.update(quantization_config={"quant_method": "new"}))
    with pytest.raises(AskError, match="the child is quantized by 'new'"):
        change_of(base, child)


def test_an_unknown_change_names_those_that_there_are(base, faulty, tmp_path):
    ctx, _ = temporary_context(tmp_path, {"child": base, "parent": faulty})
    with pytest.raises(AskError, match="unknown kind of change 'Q9'") as caught:
        run(CertifySpec(child="file:a", parent="file:a", change="Q9", **QUICK), ctx)
    assert "Q4_K_M" in caught.value.fix
