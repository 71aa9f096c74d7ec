"""The stages sft and pretrain, from a file of rows to a folder that transformers and PEFT load."""

import json
import shutil
import warnings

import pytest
import torch

from burnish.core.errors import AskError, DataError, MachineError, ModelError
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.models.load import load_model
from burnish.specs.train import PretrainSpec, SftSpec
from burnish.stages.train import pretrain, sft
from burnish.stages.train import run as training_run
from burnish.testing import temporary_context, tiny_model
from burnish.train.trackers import tracking

ARCHITECTURE = {
    "model_type": "qwen3",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "tie_word_embeddings": True,
}


def chat(question: str, answer: str) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(chat(f"Say {i % 3}", "abc"[i % 3] * 4)) + "\n" for i in range(24)))
    return path


def run(stage, spec, folder, prove="off", **inputs):
    """Run a stage as a worker does, its settings followed by the consumption ledger."""
    context, events = temporary_context(folder, inputs)
    spec = spec.model_copy(update={"prove": prove})
    with ConsumptionLedger(spec) as ledger:
        for name in inputs:
            ledger.input_was_read(name)
        context.check_settings = ledger.check
        outcome = stage.run(spec, context)
    return outcome, context.out, events


def test_sft_gives_an_adapter_that_learned_the_rows_and_loads_on_its_base(rows, base, tmp_path):
    spec = SftSpec(data="file:d", base="file:b", max_steps=30, batch_size=8, learning_rate=3e-2, threads=1)
    outcome, out, events = run(sft, spec, tmp_path / "run", data=rows, base=base)
    assert outcome.kind == "adapter"
    assert outcome.measures["last_loss"] < 0.7 * outcome.measures["first_loss"]
    assert outcome.measures["steps"] == 30
    assert outcome.measures["learned_tokens"] < outcome.measures["tokens"]
    adapted = load_model(out)
    ids = torch.arange(3, 20)[None]
    assert not torch.allclose(adapted(ids).logits, load_model(base)(ids).logits)
    assert {"tokenizer.json", "chat_template.jinja", "rows.parquet", "loss.png"} <= {p.name for p in out.iterdir()}
    assert {event.kind for event in events} >= {"chosen", "metric", "progress", "checkpoint", "note"}


def test_the_saved_adapter_gives_the_logits_that_training_ended_with(rows, base, tmp_path, monkeypatch):
    ended = {}
    save = training_run.save

    def watched(model, *others):
        ids = torch.arange(3, 20)[None]
        with torch.no_grad():
            ended["logits"] = model(ids).logits
        return save(model, *others)

    monkeypatch.setattr(training_run, "save", watched)
    spec = SftSpec(data="file:d", base="file:b", max_steps=5, batch_size=8, learning_rate=3e-2)
    _, out, _ = run(sft, spec, tmp_path / "run", data=rows, base=base)
    torch.testing.assert_close(load_model(out)(torch.arange(3, 20)[None]).logits, ended["logits"])


def test_sft_of_every_weight_gives_a_whole_model(rows, base, tmp_path):
    spec = SftSpec(data="file:d", base="file:b", method={"kind": "full"}, epochs=2, batch_tokens=120)
    outcome, out, _ = run(sft, spec, tmp_path / "run", data=rows, base=base)
    assert outcome.kind == "model"
    assert outcome.measures["epochs"] == 2.0
    changed = [
        not torch.equal(a, b) for a, b in zip(load_model(out).parameters(), load_model(base).parameters(), strict=True)
    ]
    assert all(changed)


def test_an_adapter_can_be_trained_on_further(rows, base, tmp_path):
    spec = SftSpec(data="file:d", base="file:b", max_steps=3, learning_rate=3e-2)
    _, first, _ = run(sft, spec, tmp_path / "first", data=rows, base=base)
    outcome, out, _ = run(sft, spec, tmp_path / "second", data=rows, base=first)
    assert outcome.kind == "adapter"
    load_model(out)


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_pretrain_makes_a_model_from_an_architecture(rows, tmp_path, kind):
    if kind == "text":
        rows.write_text("".join(json.dumps({"text": f"one two three {i % 4}"}) + "\n" for i in range(20)))
    tokenizer = tiny_model(tmp_path / "tokenizer")
    spec = PretrainSpec(
        data="file:d", tokenizer="file:t", architecture=ARCHITECTURE, max_steps=20, batch_size=8, learning_rate=1e-2
    )
    outcome, out, _ = run(pretrain, spec, tmp_path / "run", data=rows, tokenizer=tokenizer)
    assert outcome.kind == "model"
    model = load_model(out)
    assert model.config.vocab_size == 259
    assert model.config.eos_token_id == 2
    assert outcome.measures["last_loss"] < 0.8 * outcome.measures["first_loss"]
    if kind == "text":  # a text is learned whole, but for its first token
        visits = 6 * 20 + 2 * 8  # twenty steps of 8, 8 and 4 rows
        assert outcome.measures["learned_tokens"] == outcome.measures["tokens"] - visits


def test_pretrain_goes_on_from_a_model(rows, base, tmp_path):
    spec = PretrainSpec(data="file:d", base="file:b", max_steps=2)
    outcome, out, _ = run(pretrain, spec, tmp_path / "run", data=rows, base=base)
    assert outcome.kind == "model"
    load_model(out)


def test_two_runs_of_one_spec_give_the_same_bytes(rows, base, tmp_path):
    spec = SftSpec(data="file:d", base="file:b", max_steps=5, method={"kind": "lora", "dropout": 0.2}, threads=1)
    weights = [
        (run(sft, spec, tmp_path / name, data=rows, base=base)[1] / "adapter_model.safetensors").read_bytes()
        for name in ("one", "two")
    ]
    assert weights[0] == weights[1]


def test_in_bfloat16_the_adapter_is_saved_in_float32(rows, base, tmp_path):
    from safetensors.torch import load_file

    spec = SftSpec(data="file:d", base="file:b", max_steps=3, dtype="bfloat16")
    _, out, _ = run(sft, spec, tmp_path / "run", data=rows, base=base)
    assert {tensor.dtype for tensor in load_file(out / "adapter_model.safetensors").values()} == {torch.float32}


def test_a_setting_that_has_no_effect_stops_the_run_before_its_first_step(rows, base, tmp_path):
    spec = SftSpec(data="file:d", base="file:b", max_steps=3, epochs=2)
    with pytest.raises(Exception, match="epochs"):
        run(sft, spec, tmp_path / "run", data=rows, base=base)
    assert not (tmp_path / "run/scratch/checkpoints/step-00000001").exists()


LORA = {"kind": "lora", "rank": 2, "alpha": 3, "dropout": 0.1, "targets": ["q_proj"], "rslora": True, "dora": True}


@pytest.mark.parametrize("method", [{**LORA, "train_fully": ["norm"]}, {"kind": "full"}], ids=["lora", "full"])
def test_every_setting_is_read(rows, base, tmp_path, method):
    spec = SftSpec(
        data="file:d",
        base="file:b",
        method=method,
        optimizer={"kind": "muon", "momentum": 0.9, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.9},
        schedule={"kind": "wsd", "warmup": 2, "final": 0.1, "decay": 0.3},
        checkpoint={"every": 2, "keep": 1},
        render={"max_length": 100, "over_length": "drop", "train_on": "completion"},
        max_steps=2,
        batch_size=4,
        micro_batch_tokens=100,
        learning_rate=1e-3,
        max_grad_norm=0.5,
        shuffle=False,
        seed=3,
        keep_best=False,
        gradient_checkpointing=True,
        attention="varlen",
        dtype="float32",
        device="cpu",
        threads=1,
        resume="auto",
        track=[],
        log_every=2,
    )
    run(sft, spec, tmp_path / "run", data=rows, base=base)


def test_a_prepared_dataset_brings_its_validation_rows(base, tmp_path):
    from burnish.data.dataset import read_rows  # the layout is the contract's: one JSON row a line of parquet

    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    data = tmp_path / "data"
    data.mkdir()
    for split, count in (("train", 12), ("validation", 5)):
        made = [
            {"id": f"{split}{i}", "source": f"x:{i}", "kind": "chat", **chat(f"Say {i % 3}", "abc"[i % 3] * 4)}
            for i in range(count)
        ]
        columns = {name: [row[name] for row in made] for name in ("id", "source", "kind")}
        table = {**columns, "tag": [""] * count, "row": [json.dumps(row) for row in made]}
        pq.write_table(pa.table(table), data / f"{split}.parquet")
    (data / "stats.json").write_text("{}")
    assert len(list(read_rows(data, "validation"))) == 5
    spec = SftSpec(data="file:d", base="file:b", max_steps=4, batch_size=4, eval_every=2, eval_rows=3, threads=1)
    outcome, _, events = run(sft, spec, tmp_path / "run", data=data, base=base)
    losses = [event.values["eval_loss"] for event in events if event.kind == "metric" and "eval_loss" in event.values]
    assert outcome.measures["best_eval_loss"] == min(losses)
    assert len(losses) == 2
    assert any("validation: 3 of 5 rows" in event.text for event in events if event.kind == "note")


def test_rows_of_which_nothing_is_learned_are_refused(base, tmp_path):
    path = tmp_path / "rows.jsonl"
    silent = chat("Hello", "Hi")
    silent["messages"][1]["weight"] = 0
    path.write_text(json.dumps(silent) + "\n")
    with pytest.raises(DataError) as caught:
        run(sft, SftSpec(data="file:d", base="file:b"), tmp_path / "run", data=path, base=base)
    assert caught.value.code == "data.nothing-learned"


@pytest.mark.parametrize("kind", ["new", "lora", "full"])
def test_pretraining_is_proved_as_it_is_made_and_saved(rows, base, tmp_path, kind):
    given = {"tokenizer": base} if kind == "new" else {"base": base}
    settings = {"tokenizer": "file:t", "architecture": ARCHITECTURE} if kind == "new" else {"base": "file:b"}
    method = {"kind": "lora" if kind == "lora" else "full"}
    spec = PretrainSpec(data="file:d", max_steps=1, threads=1, method=method, **settings)
    outcome, _, _ = run(pretrain, spec, tmp_path / "run", prove="only", data=rows, **given)
    assert (outcome.measures["failed"], outcome.measures["errors"]) == (0, 0), outcome
    found = json.loads((tmp_path / "run" / "out" / "proof.json").read_text())["checks"]
    verdicts = {check["name"]: check["verdict"] for check in found}
    assert (verdicts["seed"], verdicts["saved"]) == ("holds", "holds")


@pytest.mark.parametrize("over_length", ["drop", "split"])
def test_rows_that_are_not_trained_on_are_no_part_of_the_number_of_rows(base, tmp_path, over_length):
    path = tmp_path / "rows.jsonl"
    silent = chat("Hello", "Hi")
    silent["messages"][1]["weight"] = 0
    given = [silent, *(chat("Say it", "yes " * count) for count in (1, 2, 100))]
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    render = {"max_length": 64, "over_length": over_length}
    spec = SftSpec(data="file:d", base="file:b", max_steps=1, prove="off", render=render)
    _, _, events = run(sft, spec, tmp_path / "run", data=path, base=base)
    (note,) = [event.text for event in events if event.kind == "note" and event.text.startswith("train: ")][:1]
    assert note.startswith(f"train: {2 if over_length == 'drop' else 3} of 4 rows, ")


def test_tokens_that_the_model_does_not_embed_are_refused(rows, tmp_path):
    tokenizer = tiny_model(tmp_path / "tokenizer")
    spec = PretrainSpec(data="file:d", tokenizer="file:t", architecture={**ARCHITECTURE, "vocab_size": 50}, max_steps=2)
    with pytest.raises(ModelError, match="embeds only 50 tokens"):
        run(pretrain, spec, tmp_path / "run", data=rows, tokenizer=tokenizer)


@pytest.mark.parametrize("architecture", [{"hidden_size": 32}, {"model_type": "no-such-model"}])
def test_an_architecture_that_transformers_does_not_know_is_refused(rows, base, tmp_path, architecture):
    spec = PretrainSpec(data="file:d", tokenizer="file:t", architecture=architecture)
    with pytest.raises(AskError):
        run(pretrain, spec, tmp_path / "run", data=rows, tokenizer=base)


def test_what_was_tracked_stays_with_the_artifact(rows, base, tmp_path):
    spec = SftSpec(data="file:d", base="file:b", max_steps=2, track=["tensorboard"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # tensorboard's own
        _, out, _ = run(sft, spec, tmp_path / "run", data=rows, base=base)
    assert list(out.glob("trackers/tensorboard/events.out.tfevents.*"))


@pytest.mark.parametrize(("setting", "value"), [("device", "cuda"), ("track", ["wandb"])])
def test_what_this_machine_lacks_is_told_before_the_rows_are_read(base, tmp_path, monkeypatch, setting, value):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(MachineError):
        run(sft, SftSpec(data="file:d", base="file:b", **{setting: value}), tmp_path / "run", data=tmp_path, base=base)


def test_an_adapter_on_random_weights_is_refused_before_anything_is_run():
    with pytest.raises(ValueError, match="method: lora needs a base"):
        PretrainSpec(data="file:d", tokenizer="file:t", architecture=ARCHITECTURE, method={"kind": "lora"})


def test_an_architecture_that_writes_no_text_is_refused(rows, base, tmp_path):
    spec = PretrainSpec(data="file:d", tokenizer="file:t", architecture={"model_type": "vit"}, max_steps=1)
    with pytest.raises(ModelError, match="vit is not a causal language model") as caught:
        run(pretrain, spec, tmp_path / "run", data=rows, tokenizer=base)
    assert len(caught.value.what) < 300


def test_a_base_of_an_unknown_family_is_refused_in_one_sentence(rows, base, tmp_path):
    broken = tmp_path / "base"
    shutil.copytree(base, broken)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "model_type": "no-such-model"}))
    with pytest.raises(ModelError) as caught:
        run(sft, SftSpec(data="file:d", base="file:b", max_steps=1), tmp_path / "run", data=rows, base=broken)
    assert caught.value.code == "model.broken"


@pytest.mark.parametrize(
    "setting", [{"seed": -1}, {"micro_batch_tokens": 0}, {"threads": 0}, {"method": {"kind": "lora", "targets": []}}]
)
def test_a_setting_out_of_its_bounds_is_refused_by_the_spec(setting):
    with pytest.raises(ValueError, match="should"):
        SftSpec(data="file:d", base="file:b", **setting)


def test_without_validation_rows_evaluations_are_refused_before_the_model_is_loaded(rows, base, tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "base_model", None)
    for setting in ({"eval_every": 1}, {"early_stop": {}}):
        with pytest.raises(AskError, match="needs validation rows"):
            run(sft, SftSpec(data="file:d", base="file:b", **setting), tmp_path / "run", data=rows, base=base)


def test_only_what_was_left_open_is_told_as_chosen(rows, base, tmp_path):
    spec = SftSpec(
        data="file:d",
        base="file:b",
        batch_size=4,
        max_steps=1,
        checkpoint={"every": 1},
        gradient_checkpointing=False,
        attention="sdpa",
        dtype="float32",
        device="cpu",
        threads=1,
        micro_batch_tokens=64,
    )
    _, _, events = run(sft, spec, tmp_path / "run", data=rows, base=base)
    assert [event for event in events if event.kind == "chosen"] == []
    _, _, events = run(sft, SftSpec(data="file:d", base="file:b"), tmp_path / "open", data=rows, base=base)
    assert {event.field for event in events if event.kind == "chosen"} == {
        "attention",
        "batch_size",
        "checkpoint.every",
        "device",
        "dtype",
        "gradient_checkpointing",
        "micro_batch_tokens",
        "threads",
    }
