"""The reference of a preference training: every way to state it gives the same run, and a wrong one is named."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError, RunError
from burnish.models.load import load_model
from burnish.testing import tiny_model
from burnish.train import reference
from burnish.train.passes import Passes

SETTINGS = {
    "max_steps": 4,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "threads": 1,
    "checkpoint": {"every": 1},
    "prove": "off",
}


def losses(events):
    return [event.values["loss"] for event in events if event.kind == "metric" and "loss" in event.values]


def computed(events):
    """How many answers the reference scored."""
    texts = [event.text for event in events if event.kind == "note" and "computed the reference's" in event.text]
    return [int(text.split("log-probabilities of ")[1].split(" ")[0]) for text in texts]


@pytest.fixture
def data(rows):
    return {"dpo": rows("preference", 14), "kto": rows("label", 14)}


@pytest.mark.parametrize("stage", ["dpo", "kto"])
def test_a_reference_may_be_the_base_cached_or_at_each_step_itself_as_another_model_or_its_log_probabilities(
    stage, data, base, run_stage
):
    same = Input("file:base", "model", base, fingerprint="a")
    inputs = {"data": data[stage], "base": same}
    saved = run_stage("reference", "saved", {"data": data[stage], "model": same})[1]
    assert json.loads((saved / "reference.json").read_text())["model"] == "file:base"
    table = pq.read_table(saved / "log_probs.parquet").to_pydict()
    assert list(table) == ["id", "split", "tokens", *{"dpo": ["chosen", "rejected"], "kto": ["completion"]}[stage]]
    assert len(table["id"]) == 14
    artifact = Input("step:reference", "log-probabilities", saved)
    cached, each_step, other, listed = (
        losses(run_stage(stage, name, {**inputs, **more}, **SETTINGS, **settings)[2])
        for name, more, settings in (
            ("cached", {}, {}),
            ("each-step", {}, {"reference_log_probs": "each_step", "reference": "base"}),
            ("other", {"reference": base}, {}),
            ("listed", {"reference": artifact}, {}),
        )
    )
    assert len(set(cached)) > 1
    for found in (each_step, other, listed):
        assert found == pytest.approx(cached, rel=1e-5)


def test_a_reference_that_is_an_adapter_is_used_with_its_adapter(data, base, run_stage):
    inputs = {"data": data["dpo"], "base": base}
    _, adapter, _ = run_stage("dpo", "first", inputs, **SETTINGS)
    source = Input("step:first", "adapter", adapter, inputs={"base": Input("file:base", "model", base)})
    of_base, of_adapter = (
        losses(run_stage("dpo", name, {**inputs, "reference": reference}, **SETTINGS)[2])
        for name, reference in (("base-again", base), ("adapter", source))
    )
    assert of_base[0] == pytest.approx(np.log(2), rel=1e-5)  # the model is the reference before its first step
    assert of_adapter[0] != pytest.approx(np.log(2), rel=1e-3)
    found = run_stage("reference", "saved", {"data": data["dpo"], "model": source})[1]
    plain = run_stage("reference", "plain", {"data": data["dpo"], "model": base})[1]
    one, other = (pq.read_table(folder / "log_probs.parquet").to_pydict()["chosen"] for folder in (found, plain))
    assert one != pytest.approx(other, rel=1e-4)


def test_full_fine_tuning_and_bfloat16_have_a_cached_reference(data, base, run_stage):
    for stage in ("dpo", "kto"):
        for name, settings in (("full", {"method": {"kind": "full"}}), ("bf16", {"dtype": "bfloat16"})):
            found = losses(
                run_stage(stage, f"{stage}-{name}", {"data": data[stage], "base": base}, **SETTINGS, **settings)[2]
            )
            if stage == "dpo":
                assert found[0] == pytest.approx(np.log(2), rel=1e-5)
            assert found[-1] < found[0]


@pytest.fixture
def saved(data, base, run_stage):
    return run_stage("reference", "saved", {"data": data["dpo"], "model": base})[1]


def as_input(folder):
    return Input("step:reference", "log-probabilities", folder)


def refused(run_stage, inputs, stage="dpo", **settings):
    with pytest.raises(BurnishError) as caught:
        run_stage(stage, "refused", inputs, **{**SETTINGS, **settings})
    assert caught.value.fix
    return caught.value


def test_log_probabilities_of_other_rows_are_refused(saved, rows, base, run_stage):
    more = rows("preference", 17, name="more")
    error = refused(run_stage, {"data": more, "base": base, "reference": as_input(saved)}, max_steps=9)
    assert error.code == "data.other-rows"
    assert "lacks 3 of 17 train rows" in error.what


def test_log_probabilities_of_other_tokens_are_refused(saved, data, base, run_stage):
    inputs = {"data": data["dpo"], "base": base, "reference": as_input(saved)}
    error = refused(
        run_stage, inputs, render={"chat_template": "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"}
    )
    assert error.code == "data.other-rows"
    assert "rows have other tokens there" in error.what


def test_log_probabilities_of_another_tokenizer_are_refused(saved, data, base, run_stage, tmp_path):
    from transformers import AutoTokenizer

    other = tiny_model(tmp_path / "other", vocab_size=270)
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["<extra>"])
    tokenizer.save_pretrained(other)
    error = refused(run_stage, {"data": data["dpo"], "base": other, "reference": as_input(saved)})
    assert (error.code, "another tokenizer" in error.what) == ("model.broken", True)
    error = refused(run_stage, {"data": data["dpo"], "base": other, "reference": base})
    assert (error.code, "another tokenizer" in error.what) == ("model.broken", True)


@pytest.mark.parametrize("fault", ["cut", "changed", "no table", "no record", "not json", "no sha"])
def test_damaged_log_probabilities_are_refused(saved, data, base, run_stage, fault, tmp_path):
    saved = shutil.copytree(saved, tmp_path / "runs/k/3/refs/out")
    table, record = saved / "log_probs.parquet", saved / "reference.json"
    if fault == "cut":
        table.write_bytes(table.read_bytes()[:-20])
    elif fault == "changed":
        content = bytearray(table.read_bytes())
        content[40] ^= 1
        table.write_bytes(content)
    elif fault == "no table":
        table.unlink()
    elif fault == "no record":
        record.unlink()
    elif fault == "not json":
        record.write_text("{")
    else:
        record.write_text("{}")
    error = refused(run_stage, {"data": data["dpo"], "base": base, "reference": as_input(saved)})
    assert error.code == "run.damaged-artifact"
    assert str(saved) in error.what
    assert error.fix == "run the recipe k with --force refs, which computes it again"


def test_log_probabilities_of_pairs_are_not_those_of_labelled_answers(saved, data, base, run_stage):
    inputs = {"data": data["kto"], "base": base, "reference": as_input(saved)}
    error = refused(run_stage, inputs, "kto", loss="apo_zero_unpaired")
    assert error.code == "data.other-rows"
    assert "columns chosen and rejected, not completion" in error.what


def test_kto_needs_the_base_itself_for_mismatched_answers(data, base, run_stage):
    saved = run_stage("reference", "saved", {"data": data["kto"], "model": Input("file:m", "model", base, "one")})[1]
    other = {"data": data["kto"], "base": Input("file:b", "model", base, "two"), "reference": as_input(saved)}
    error = refused(run_stage, other, "kto")
    assert isinstance(error, AskError)
    assert "set reference: file:m, or loss: apo_zero_unpaired" in error.fix
    run_stage("kto", "apo", other, **SETTINGS, loss="apo_zero_unpaired")


def test_log_probabilities_of_a_base_that_was_made_again_with_other_files_are_not_those_of_the_base(
    data, base, run_stage
):
    first, again = (Input("r.sft@1", "model", base, "recipe", digest=digest) for digest in ("first", "again"))
    saved = run_stage("reference", "saved", {"data": data["kto"], "model": first})[1]
    inputs = {"data": data["kto"], "base": again, "reference": as_input(saved)}
    assert "the base is not its model" in refused(run_stage, inputs, "kto").what
    _, _, events = run_stage("kto", "apo", inputs, **SETTINGS, loss="apo_zero_unpaired")
    [warning] = [event.text for event in events if getattr(event, "level", "") == "warning"]
    assert "was computed with other files of r.sft@1 than those of the base" in warning
    _, _, events = run_stage("kto", "same", {**inputs, "base": first}, **SETTINGS)
    assert not [event for event in events if getattr(event, "level", "") == "warning"]


QLORA = {"method": {"kind": "qlora", "rank": 4}}
IN_OTHER = "is the base without quantization, and the training starts from it in 4 bits (nf4)"


def test_log_probabilities_of_the_base_without_quantization_are_not_those_of_a_base_in_four_bits(data, base, run_stage):
    same = Input("file:b", "model", base, fingerprint="one")
    for kind in ("dpo", "kto"):
        saved = run_stage("reference", f"saved-{kind}", {"data": data[kind], "model": same})[1]
        assert json.loads((saved / "reference.json").read_text())["quantization"] is None
        inputs = {"data": data[kind], "base": same, "reference": as_input(saved)}
        if kind == "kto":
            error = refused(run_stage, inputs, "kto", **QLORA)
            assert IN_OTHER in error.what
            assert "set reference: base" in error.fix
        else:
            settings = {**SETTINGS, "max_steps": 1, **QLORA}
            for name, given in (("saved", inputs), ("model", {**inputs, "reference": same})):
                events = run_stage("dpo", f"with-{name}", given, **settings)[2]
                (warning,) = [note.text for note in events if note.kind == "note" and IN_OTHER in note.text]
                assert warning.endswith("; set reference: base")
                assert losses(events)[0] != pytest.approx(np.log(2), rel=1e-5)
            own = run_stage("dpo", "own", {"data": data[kind], "base": same}, **settings)[2]
            assert losses(own)[0] == pytest.approx(np.log(2), rel=1e-5)
            assert not [note for note in own if note.kind == "note" and "quantization" in note.text]


def test_the_labels_of_all_rows_are_counted_where_only_a_sample_is_checked(rows, base, run_stage):
    settings = {**SETTINGS, "prove": "only", "max_steps": 3, "batch_size": 8}
    events = run_stage("kto", "proved", {"data": rows("label", 24), "base": base}, **settings)[2]
    texts = [event.text for event in events if event.kind == "note"]
    assert "train: 8 desirable and 16 undesirable rows" in texts
    assert not [text for text in texts if "nothing is compared" in text]
    assert sum(computed(events)) <= 8  # the sample, and its mismatched pairs


def test_a_row_left_out_is_no_partner_of_a_sample_of_one(rows, base, run_stage):
    listed = [json.loads(line) for line in rows("label", 8).read_text().splitlines()]
    for place, row in enumerate(listed):
        if place != 2:  # the only one that fits into a sample
            row["completion"] = [{"role": "assistant", "content": "z" * 500}]
    data = rows(listed)
    saved = run_stage("reference", "saved", {"data": data, "model": base})[1]
    after = pq.read_table(saved / "log_probs.parquet").to_pydict()["id"][3]
    settings = {**SETTINGS, "prove": "only", "without_rows": [after], "batch_size": 4}
    outcome, _, events = run_stage("kto", "proved", {"data": data, "base": base}, **settings)
    assert outcome.kind == "proof"
    assert computed(events) == [1, 1]


def test_a_stop_in_the_pass_of_the_reference_says_that_it_is_computed_again(data, base, run_stage, monkeypatch):
    """The next run resumes a checkpoint, or begins in a folder of its own."""
    begun, compute = [], reference.sequence_log_probs
    monkeypatch.setattr(reference, "sequence_log_probs", lambda *given: (begun.append(1), compute(*given))[1])
    with pytest.raises(RunError, match="stopped after the reference's log-probabilities of 0 of") as caught:
        run_stage("dpo", "stopped", {"data": data["dpo"], "base": base}, stopping=lambda: bool(begun), **SETTINGS)
    assert (caught.value.code, "computes them again" in caught.value.fix) == ("run.interrupted", True)


def test_a_damaged_cache_is_computed_again_from_the_base_when_a_run_resumes(data, base, run_stage, tmp_path):
    inputs = {"data": data["dpo"], "base": base}
    expected = losses(run_stage("dpo", "whole", inputs, **SETTINGS)[2])
    for fault in ("intact", "damaged", "missing"):
        steps = []

        def stop(steps=steps):
            return len(steps) >= 2  # during the second one

        gradient = Passes.gradient
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Passes, "gradient", lambda *given, s=steps, g=gradient: (s.append(1), g(*given))[1])
            with pytest.raises(RunError, match="stopped after step"):
                run_stage("dpo", fault, inputs, stopping=stop, **SETTINGS)
        file = tmp_path / fault / "scratch/reference/train/log_probs.npy"
        if fault == "damaged":
            content = bytearray(file.read_bytes())
            content[-1] ^= 1
            file.write_bytes(content)
        elif fault == "missing":
            shutil.rmtree(file.parent)
        *_, events = run_stage("dpo", fault, inputs, **SETTINGS)
        assert computed(events) == ([] if fault == "intact" else [14])
        assert losses(events) == expected[1:]


def test_a_longer_run_from_a_named_checkpoint_computes_only_the_rows_that_are_missing(data, base, run_stage, tmp_path):
    for stage, first, more in (("dpo", [4], [4]), ("kto", [4, 4], [4, 4])):
        inputs = {"data": data[stage], "base": base}
        settings = {**SETTINGS, "schedule": {"kind": "constant", "warmup": 0}}
        *_, events = run_stage(stage, f"{stage}-short", inputs, **{**settings, "max_steps": 1})
        assert computed(events) == first
        named = tmp_path / f"{stage}-short/scratch/checkpoints/step-00000001"
        *_, events = run_stage(stage, f"{stage}-long", inputs, **{**settings, "max_steps": 2}, resume=str(named))
        assert computed(events) == more
        *_, whole = run_stage(stage, f"{stage}-whole", inputs, **{**settings, "max_steps": 2})
        assert losses(events) == losses(whole)[1:]


def test_the_trained_adapter_differs_from_the_base(data, base, run_stage):
    _, out, _ = run_stage("dpo", "run", {"data": data["dpo"], "base": base}, **SETTINGS)
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        assert not torch.allclose(load_model(out)(ids).logits, load_model(base)(ids).logits)
