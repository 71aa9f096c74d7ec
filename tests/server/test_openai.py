"""OpenAI's own client drives a fine-tune of the embedded model: upload, start, stream, cancel, pause, resume."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from burnish.studio.serving.logins import add_token
from studio_server import serving

CHAT = [
    {"messages": [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]}
    for n in range(24)
]
PAIRS = [
    {
        "input": {"messages": [{"role": "user", "content": f"question {n}"}], "tools": [], "parallel_tool_calls": True},
        "preferred_output": [{"role": "assistant", "content": f"good {n}"}],
        "non_preferred_output": [{"role": "assistant", "content": f"bad {n}"}],
    }
    for n in range(8)
]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture(scope="module")
def client(studio):
    """The official client, with a token as its key."""
    token = add_token("openai", "run", workspace=studio.folder)
    with openai.OpenAI(base_url=f"{studio.address}/v1", api_key=token, timeout=60, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def worker(studio):
    """A worker of the queue, in a process of its own."""
    script = Path(sys.executable).with_name("burnish")
    process = subprocess.Popen(
        [script, "--workspace", studio.folder, "worker", "--slots", "1"], stdout=subprocess.DEVNULL
    )
    yield process
    process.terminate()
    process.wait(60)


def sent(client, name, rows):
    return client.files.create(file=(name, lines(rows)), purpose="fine-tune").id


def hyper(kind="supervised", **values):
    return {"type": kind, kind: {"hyperparameters": values}}


def streamed(client, job):
    """The events of a job by the client's own reader of streams, until it has ended."""
    path = f"/fine_tuning/jobs/{job}/events"
    kind = openai.Stream[FineTuningJobEvent]
    options = {"params": {"stream": True}}
    return list(client.get(path, cast_to=FineTuningJobEvent, stream=True, stream_cls=kind, options=options))


def test_a_server_that_stops_ends_the_stream_of_a_job(tmp_path):
    with serving(tmp_path) as studio:
        file = studio.page.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("a.jsonl", lines(CHAT))})
        asked = {"model": "builtin:pocket", "training_file": file.json()["id"]}
        made = studio.page.post("/v1/fine_tuning/jobs", json=asked)  # it waits: there is no worker
        assert FineTuningJob.model_validate_json(made.content).error is None
        job = made.json()["id"]
        path = f"/v1/fine_tuning/jobs/{job}/events"
        with studio.page.stream("GET", path, params={"stream": True}) as answer:
            said = answer.iter_lines()
            assert "Created fine-tuning job" in next(said)
            studio.process.send_signal(signal.SIGTERM)
            assert studio.process.wait(4) is not None
            assert "data: [DONE]" not in list(said)


def test_files_are_sent_listed_read_and_deleted(client):
    made = client.files.create(file=("train.jsonl", lines(CHAT)), purpose="fine-tune")
    assert (made.filename, made.bytes, made.status, made.purpose) == (
        "train.jsonl",
        len(lines(CHAT)),
        "processed",
        "fine-tune",
    )
    again = client.files.create(file=("train.jsonl", b"{}\n"), purpose="fine-tune")
    assert again.id != made.id
    assert [file.id for file in client.files.list(limit=1)] == [again.id, made.id]  # over two pages
    assert [file.id for file in client.files.list(order="asc")] == [made.id, again.id]
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == lines(CHAT)
    for id in (made.id, again.id):
        assert client.files.delete(id).deleted
    with pytest.raises(openai.NotFoundError, match="there is no file") as caught:
        client.files.retrieve(made.id)
    assert caught.value.code == "ask.bad-reference"
    assert client.files.list().data == []


def test_a_fine_tune_runs_to_a_model_with_events_and_checkpoints(client, studio, worker):
    training, validation = sent(client, "train.jsonl", CHAT), sent(client, "val.jsonl", CHAT[:4])
    job = client.fine_tuning.jobs.create(
        model="builtin:pocket",
        training_file=training,
        validation_file=validation,
        method=hyper(n_epochs=2, learning_rate_multiplier=2),
        suffix="support",
        seed=3,
        metadata={"team": "a"},
    )
    assert job.status == "validating_files"
    assert (job.object, job.model, job.seed, job.metadata) == ("fine_tuning.job", "builtin:pocket", 3, {"team": "a"})
    events = streamed(client, job.id)
    messages = [event.message for event in events]
    assert messages[0] == f"Created fine-tuning job: {job.id}"
    assert f"Validating training file: {training}" in messages
    assert messages[-1] == "The job has successfully completed"
    losses = [event.data["train_loss"] for event in events if event.type == "metrics" and "train_loss" in event.data]
    assert len(losses) == 4  # 24 rows, 16 a step, twice
    assert any("validation loss" in message for message in messages)
    assert len({event.id for event in events}) == len(events)

    done = client.fine_tuning.jobs.retrieve(job.id)
    assert (done.status, done.fine_tuned_model) == ("succeeded", "ft-support.tune@1")
    assert done.finished_at >= done.created_at
    assert done.trained_tokens > 100
    for chosen in (done.method.supervised.hyperparameters, done.hyperparameters):
        assert (chosen.n_epochs, chosen.batch_size, chosen.learning_rate_multiplier) == (2, 16, 2)
    listed = list(client.fine_tuning.jobs.list_events(job.id, limit=5))  # newest first, over pages
    assert [event.id for event in listed] == [event.id for event in events][::-1]
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=1))
    assert [one.step_number for one in checkpoints] == sorted((one.step_number for one in checkpoints), reverse=True)
    assert checkpoints[0].step_number == 4
    assert checkpoints[0].metrics.train_loss == losses[-1]
    assert checkpoints[0].metrics.full_valid_loss == checkpoints[0].metrics.valid_loss is not None
    assert checkpoints[0].fine_tuned_model_checkpoint == "ft-support.tune@1/step-4"
    spec = json.loads((studio.folder / "runs/ft-support/1/tune/spec.json").read_text())
    assert (spec["epochs"], spec["learning_rate"], spec["seed"]) == (2, 4e-4, 3)

    same = client.fine_tuning.jobs.create(
        model="builtin:pocket",
        training_file=training,
        validation_file=validation,
        method=hyper(n_epochs=2, learning_rate_multiplier=2),
        suffix="support",
        seed=3,
    )
    said = [event.message for event in streamed(client, same.id)]
    assert said[0] == f"Created fine-tuning job: {same.id}"
    assert "The result of ft-support/1/tune is reused, which has the same inputs and settings" in said
    assert client.fine_tuning.jobs.retrieve(same.id).fine_tuned_model == "ft-support.tune@2"

    more = client.fine_tuning.jobs.create(model=checkpoints[-1].fine_tuned_model_checkpoint, training_file=training)
    assert client.fine_tuning.jobs.cancel(more.id).status in ("cancelled", "validating_files", "running")
    assert [one.id for one in client.fine_tuning.jobs.list(metadata={"team": "a"})] == [job.id]


@pytest.mark.torture  # what is planned of it is in tests/studio/finetuning
def test_preferences_are_learned_with_dpo(client, worker):
    training = sent(client, "pairs.jsonl", PAIRS)
    job = client.fine_tuning.jobs.create(
        model="builtin:pocket", training_file=training, method=hyper("dpo", n_epochs=1, beta=0.2), seed=1
    )
    events = streamed(client, job.id)
    assert events[-1].message == "The job has successfully completed", [event.message for event in events]
    assert client.fine_tuning.jobs.retrieve(job.id).method.dpo.hyperparameters.beta == 0.2


def test_a_job_is_paused_resumed_and_cancelled(client, worker, until):
    training = sent(client, "long.jsonl", CHAT)
    jobs = client.fine_tuning.jobs
    job = jobs.create(model="builtin:pocket", training_file=training, method=hyper(n_epochs=1000, batch_size=2), seed=1)

    def steps():
        return sum(event.type == "metrics" for event in jobs.list_events(job.id, limit=100).data)

    until(lambda: steps() > 5)
    assert jobs.retrieve(job.id).estimated_finish >= job.created_at
    with pytest.raises(openai.ConflictError, match="not paused"):
        jobs.resume(job.id)
    jobs.pause(job.id)
    until(lambda: jobs.retrieve(job.id).status == "paused")
    with pytest.raises(openai.ConflictError, match="is paused"):
        jobs.pause(job.id)
    kept = [one.step_number for one in jobs.checkpoints.list(job.id)]
    assert kept
    assert jobs.resume(job.id).status in ("queued", "running")
    until(lambda: jobs.retrieve(job.id).status == "running")
    until(
        lambda: any(event.data["step"] > max(kept) for event in jobs.list_events(job.id, limit=20).data if event.data)
    )
    jobs.cancel(job.id)
    until(lambda: jobs.retrieve(job.id).status == "cancelled")
    last = streamed(client, job.id)
    assert "resume: auto" not in " ".join(event.message for event in last)
    assert jobs.retrieve(job.id).estimated_finish is None
    with pytest.raises(openai.ConflictError, match="is cancelled"):
        jobs.cancel(job.id)
    assert jobs.retrieve(job.id).fine_tuned_model is None


def test_a_file_with_bad_rows_fails_the_job_with_its_line(client, worker):
    training = client.files.create(file=("bad.jsonl", lines(CHAT) + b'{"messages": 3}\n'), purpose="fine-tune").id
    job = client.fine_tuning.jobs.create(model="builtin:pocket", training_file=training)
    events = streamed(client, job.id)
    failed = client.fine_tuning.jobs.retrieve(job.id)
    assert (failed.status, failed.error.code, failed.error.param) == (
        "failed",
        "data.too-many-bad-rows",
        "training_file",
    )
    assert "bad.jsonl:25" in failed.error.message
    for told in (failed.error.message, events[-1].message):
        assert "upload the file again" in told
        assert "max_bad_share" not in told
        assert "runs/" not in told
    assert events[-1].level == "error"


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"model": "gpt-4o-mini"}, 400, "there is no model 'gpt-4o-mini'"),
        ({"model": "builtin:none"}, 400, "model: there is no built-in model 'none'"),
        ({"training_file": "file-none"}, 400, "training_file: there is no file"),
        (
            {"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]},
            400,
            "integrations are not supported (wandb)",
        ),
        ({"method": {"type": "reinforcement"}}, 400, "'reinforcement' is not supported"),
        ({"method": {"type": "dpo", "supervised": {}}}, 400, "remove the settings of the other one"),
        ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}}, 400, "n_epochs: "),
        ({"temperature": 1}, 400, "temperature"),
        ({"suffix": "x" * 65}, 400, "suffix"),
        ({"seed": -1}, 400, "seed"),
    ],
)
def test_what_cannot_be_done_is_refused_in_openai_s_shape(client, studio, change, status, said):
    training = sent(client, "train.jsonl", CHAT)
    asked = {"model": "builtin:pocket", "training_file": training, **change}
    answer = studio.page.post("/v1/fine_tuning/jobs", json=asked)
    assert answer.status_code == status, answer.text
    assert answer.headers["x-should-retry"] == "false"
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert said in answer.json()["error"]["message"]
    assert "constrained" not in answer.text


def test_files_of_another_kind_are_refused_in_openai_s_shape(client, studio):
    for name, purpose in [("a.jsonl", "assistants"), ("a.txt", "fine-tune"), ("../a.jsonl", "fine-tune")]:
        with pytest.raises(openai.BadRequestError):
            client.files.create(file=(name, b"{}\n"), purpose=purpose)
    with pytest.raises(openai.BadRequestError, match="is empty"):
        client.files.create(file=("a.jsonl", b""), purpose="fine-tune")
    answer = studio.page.post("/v1/files", files={"file": ("a.jsonl", b"{}")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ask.missing-key")
    anyone = studio.anyone.get("/v1/files")
    assert (anyone.status_code, anyone.json()["error"]["type"]) == (401, "authentication_error")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="another").files.list()
    unknown = studio.page.get("/v1/nothing")
    assert (unknown.status_code, "error" in unknown.json()) == (404, True)
    for path in ("/v1/fine_tuning/jobs/ftjob-ft-999", "/v1/fine_tuning/jobs/../../etc/events", "/v1/files/%2e%2e"):
        assert studio.page.get(path).status_code == 404
    for verb in ("cancel", "pause", "resume"):
        assert studio.page.post(f"/v1/fine_tuning/jobs/ftjob-ft-999/{verb}").status_code == 404


@pytest.mark.parametrize(
    "query", ["metadata[a=1", "metadata=1", "metadata[]=1", "metadata[a]=1&metadata[a]=2", "metadata[a][b]=1"]
)
def test_a_selection_that_is_none_is_refused(studio, query):
    answer = studio.page.get(f"/v1/fine_tuning/jobs?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ask.wrong-value"), answer.text
