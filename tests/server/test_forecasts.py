"""The forecast of a training over HTTP: what it says of a tiny model is what the training then takes."""

ADAPTER = "sft.sft@1"


def forecast(studio, **values):
    asked = {"stage": "sft", "values": {"data": "file:rows.jsonl", **values}}
    answer = studio.page.post("/api/v1/forecasts", json=asked, timeout=120)
    assert answer.status_code == 200, answer.text
    [found] = answer.json()
    return found


def test_a_forecast_counts_the_weights_that_are_trained(models_studio):
    base = "builtin:pocket"
    merged = {"stage": "merge", "values": {"model": ADAPTER}}
    known = models_studio.page.post("/api/v1/merges/preview", json=merged, timeout=60).json()
    rank = known["adapters"][0]["rank"]
    found = forecast(models_studio, base=base, method={"kind": "lora", "rank": rank})["forecast"]
    assert found["trained"] == known["adapters"][0]["parameters"]
    assert found["parameters"] == known["base"]["parameters"]
    assert found["result_bytes"] == 4 * found["trained"]
    assert {one["field"] for one in found["choices"]} >= {"device", "dtype", "micro_batch_tokens"}
    whole = forecast(models_studio, base=base, method={"kind": "full"})["forecast"]
    assert whole["trained"] == whole["parameters"]
    assert whole["memory_bytes"] > found["memory_bytes"] > 4 * found["parameters"]
    assert whole["checkpoint_bytes"] == 12 * whole["parameters"]


def test_more_tokens_in_a_row_take_more_memory(models_studio):
    one, other = (
        forecast(models_studio, base="builtin:pocket", render={"max_length": length}, device="cpu")["forecast"]
        for length in (5000, 50_000)
    )
    assert one["memory_bytes"] <= other["memory_bytes"]
    assert one["longest_tokens"] <= 5000


def test_what_is_not_known_before_the_run_is_said_with_why(models_studio):
    values = {
        "name": "two",
        "steps": {
            "first": {"stage": "sft", "data": "file:rows.jsonl", "base": "builtin:pocket", "method": {"kind": "full"}},
            "second": {"stage": "sft", "data": "file:rows.jsonl", "base": "step:first"},
        },
    }
    first, second = models_studio.page.post("/api/v1/forecasts", json={"values": values}, timeout=120).json()
    assert first["unknown"] is None
    assert second["forecast"] is None
    assert "'first'" in second["unknown"]
    assert "not on this machine" in forecast(models_studio, base="hub:acme/none")["unknown"]


def test_processes_share_the_memory_and_an_archive_keeps_all_checkpoints(models_studio):
    settings = {"base": "builtin:pocket", "device": "cpu", "dtype": "float32", "micro_batch_tokens": 512}
    settings |= {"gradient_checkpointing": True}
    one = forecast(models_studio, **settings)["forecast"]
    three = forecast(models_studio, launch={"processes": 3}, **settings)["forecast"]
    assert (one["processes"], one["memory_of"], one["kept_checkpoints"]) == (1, "machine", 3)
    assert (three["processes"], three["memory_bytes"]) == (3, 3 * one["memory_bytes"])
    every = forecast(models_studio, checkpoint={"archive": True, "every": 5}, **settings)["forecast"]
    assert every["kept_checkpoints"] is None
