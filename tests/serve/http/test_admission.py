"""Who may ask, and how much: keys, limits, the queue; what is logged and counted of it."""

import asyncio
import json

import httpx
import pytest

from burnish.core.access.keys import Key, add_key, read_keys, remove_key
from burnish.core.errors import AskError
from burnish.specs.ship.server import ServerSpec
from burnish.stages.ship import serve as stage


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "keys.json"


def bearer(key):
    return {"headers": {"Authorization": f"Bearer {key}"}}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer \xff",
        "Token {key}",
    ],
)
def test_a_missing_or_wrong_key_gets_401(served, key_file, header):
    key = add_key(key_file, Key("ann", ""))
    headers = {} if header is None else {"Authorization": header.format(key=key).encode("latin-1")}
    answer = served(keys_file=str(key_file)).chat_with(headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_every_key_of_the_file_is_accepted_and_named_in_the_log(served, key_file):
    made = [add_key(key_file, Key(name, "")) for name in ("ann", "bob")]
    app = served(keys_file=str(key_file))
    for key in made:
        assert app.chat_with({"Authorization": f"Bearer {key}"}).status_code == 200
    lines = [json.loads(line) for line in (app.folder / "access.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["ann", "bob"]
    assert all(key not in (app.folder / "access.jsonl").read_text() for key in made)


def test_health_needs_no_key_and_metrics_and_models_do(served, key_file):
    add_key(key_file, Key("ann", ""))
    app = served(keys_file=str(key_file))
    assert [app.get(path).status_code for path in ("/health", "/ready")] == [200, 200]
    assert [app.get(path).status_code for path in ("/metrics", "/v1/models", "/version", "/no")] == [401] * 4


def test_the_file_is_read_again_when_it_changes(served, key_file):
    first = add_key(key_file, Key("ann", ""))
    app = served(keys_file=str(key_file))
    ring = app.state.keys
    second = add_key(key_file, Key("bob", ""))
    remove_key(key_file, "ann")
    ring._file._looked = 0.0
    assert app.chat_with({"Authorization": f"Bearer {second}"}).status_code == 200
    assert app.chat_with({"Authorization": f"Bearer {first}"}).status_code == 401
    key_file.write_text("{ broken")
    ring._file._looked = 0.0
    assert app.chat_with({"Authorization": f"Bearer {second}"}).status_code == 200
    assert "keys.json" in ring._file.fault


@pytest.mark.parametrize("fault", ["typing error", "deleted", "name given twice"])
def test_a_file_that_cannot_be_read_again_is_reported_until_it_can(served, key_file, fault, caplog):
    key = add_key(key_file, Key("ann", ""))
    app = served(keys_file=str(key_file))
    ring, headers, good = app.state.keys, {"Authorization": f"Bearer {key}"}, key_file.read_text()
    entry = json.loads(good)["keys"][0]
    match fault:
        case "typing error":
            key_file.write_text(good[:-4])
        case "deleted":
            key_file.unlink()
        case _:
            key_file.write_text(json.dumps({"keys": [entry, entry]}))
    for _ in range(2):
        ring._file._looked = 0.0
        assert "burnish_keys_file_unreadable 1.0" in app.get("/metrics", headers=headers).text
    (warning,) = caplog.records
    assert "removed" in warning.getMessage()
    assert "keys.json" in warning.getMessage()
    key_file.write_text(good + "\n")
    ring._file._looked = 0.0
    assert "burnish_keys_file_unreadable 0.0" in app.get("/metrics", headers=headers).text
    assert ring.look() == ""


def test_a_warning_of_the_keys_is_an_event_of_the_run(monkeypatch):
    events, faults = [], iter(["", "broken", "broken", "other", ""])

    class Run:
        emit = events.append

    def look():
        if (fault := next(faults, None)) is None:
            raise EOFError
        return fault

    async def report():
        with pytest.raises(EOFError):
            await stage._report(Run, {"requests": -1}, look)

    monkeypatch.setattr(stage, "_REPORT_SECONDS", 0.0)
    asyncio.run(report())
    assert [(event.level, event.text) for event in events] == [
        ("warning", "broken"),
        ("warning", "other"),
        ("info", "keys_file: read again"),
    ]


def test_an_expired_key_gets_401(served, key_file):
    key = add_key(key_file, Key("ann", "", expires="2020-01-01T00:00:00+00:00"))
    answer = served(keys_file=str(key_file)).chat_with({"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401
    assert "expired" in answer.json()["error"]["message"]


def test_a_key_may_ask_its_models_only(served, key_file):
    key = add_key(key_file, Key("ann", "", models=("cats",)))
    app = served(keys_file=str(key_file), adapters=["cats", "dogs"])
    auth = {"Authorization": f"Bearer {key}"}
    assert app.chat_with(auth, model="cats").status_code == 200
    assert app.chat_with(auth, model="dogs").status_code == 403
    assert app.chat_with(auth).status_code == 403
    assert app.chat_with(auth, model="horses").status_code == 404
    assert [m["id"] for m in app.get("/v1/models", headers=auth).json()["data"]] == ["cats"]


def test_requests_and_tokens_of_a_minute_are_limited_by_key(served, key_file):
    few = add_key(key_file, Key("few", "", requests_per_minute=2))
    short = add_key(key_file, Key("short", "", tokens_per_minute=10))
    app = served(keys_file=str(key_file))
    found = [app.chat_with({"Authorization": f"Bearer {few}"}) for _ in range(3)]
    assert [answer.status_code for answer in found] == [200, 200, 429]
    assert 1 <= int(found[-1].headers["retry-after"]) <= 60
    assert found[-1].json()["error"]["code"] == "rate_limit_exceeded"
    found = [app.chat_with({"Authorization": f"Bearer {short}"}) for _ in range(2)]
    assert [answer.status_code for answer in found] == [200, 429]


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_a_limit_of_0_refuses_every_request(served, key_file, limit):
    key = add_key(key_file, Key("none", "", **{limit: 0}))
    answer = served(keys_file=str(key_file)).chat_with({"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")


def test_requests_at_once_share_the_tokens_of_a_minute(served, key_file):
    key = add_key(key_file, Key("ann", "", tokens_per_minute=50))
    app = served(keys_file=str(key_file), pause=0.02)
    headers = {"Authorization": f"Bearer {key}"}
    answers = at_once(app, 12, headers, max_tokens=100)
    assert [answer.status_code for answer in answers].count(200) == 1
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert app.chat_with(headers).status_code == 200, "what was booked and not used is free again"
    streamed = app.chat_with(headers, stream=True, max_tokens=100)
    assert streamed.status_code == 200
    assert app.state.rates._booked == {"ann": 0}


def test_a_key_of_the_environment_is_accepted(served, monkeypatch):
    monkeypatch.setenv("SERVE_KEY", "secret")
    app = served(api_key_env="SERVE_KEY")
    assert app.chat_with({"Authorization": "Bearer secret"}).status_code == 200
    assert app.chat().status_code == 401
    monkeypatch.delenv("SERVE_KEY")
    with pytest.raises(AskError, match="SERVE_KEY is not set"):
        served(api_key_env="SERVE_KEY")


ELSEWHERE = ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", "localhost.evil.example", "[evil", "\xff"]
HERE = ["127.0.0.1", "127.0.0.1:8001", "[::1]:8001", "localhost", "LOCALHOST:8001", "localhost.", "app.localhost", ""]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_without_keys_the_loopback_answers_under_no_other_name(served, host, key_file):
    headers = {"host": host.encode("latin-1")}
    app = served(load_adapters=True)
    answer = app.chat_with(headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")
    assert app.post({"lora_name": "x", "lora_path": "x"}, "/v1/load_lora_adapter", headers=headers).status_code == 403
    assert app.get("/metrics", headers=headers).status_code == 403
    assert app.get("/health", headers=headers).status_code == 200
    assert served(allow_no_key=True).chat_with(headers).status_code == 200
    key = add_key(key_file, Key("ann", ""))
    keyed = served(keys_file=str(key_file)).chat_with({**headers, "Authorization": f"Bearer {key}".encode()})
    assert keyed.status_code == 200


@pytest.mark.parametrize("host", HERE)
def test_the_loopback_answers_under_its_own_names(served, host):
    assert served().chat_with({"host": host}).status_code == 200


def test_a_page_that_cors_names_may_ask_under_its_name(served):
    app = served(cors=["https://chat.example.com"])
    assert app.chat_with({"host": "chat.example.com"}).status_code == 200
    assert app.chat_with({"host": "other.example.com"}).status_code == 403


def test_other_machines_need_a_key():
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(ValueError, match="keys_file"):
            ServerSpec(host=host)
        for allowed in ({"keys_file": "k"}, {"api_key_env": "K"}, {"allow_no_key": True}):
            assert ServerSpec(host=host, **allowed)


def at_once(app, count, headers=None, **body):
    async def ask():
        transport = httpx.ASGITransport(app=app.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            message = {"messages": [{"role": "user", "content": "Hi"}], **body}
            return await asyncio.gather(
                *(client.post("/v1/chat/completions", json=message, headers=headers) for _ in range(count))
            )

    return asyncio.run(ask())


def test_the_engine_gets_as_many_as_it_has_slots_and_the_queue_is_bounded(served):
    app = served(slots=2, max_queue=3, pause=0.01)
    found = at_once(app, 8)
    assert sorted(answer.status_code for answer in found) == [200] * 5 + [429] * 3
    refused = next(answer for answer in found if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "queue_full"
    assert int(refused.headers["retry-after"]) >= 1
    assert app.engine.most_running == 2
    assert app.state.slots.accepted == 0


def test_a_request_that_takes_too_long_is_ended(served):
    app = served(pause=0.2, request_timeout=0.1)
    answer = app.chat()
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "timeout"
    assert app.engine.running == 0
    assert json.loads(app.chat(stream=True).text.removeprefix("data: ") or "{}")["error"]["code"] == "timeout"


def test_metrics_count_requests_tokens_and_restarts(served):
    app = served(restarts=2)
    app.chat()
    app.chat(model="none")
    app.get("/v1/made/up/route")
    text = app.get("/metrics").text
    for line in (
        'burnish_requests_total{route="/v1/chat/completions",status="200"} 1.0',
        'burnish_requests_total{route="/v1/chat/completions",status="404"} 1.0',
        'burnish_requests_total{route="other",status="404"} 1.0',
        'burnish_errors_total{code="model_not_found"} 1.0',
        "burnish_first_token_seconds_count 1.0",
        "burnish_engine_restarts_total 2.0",
        "burnish_waiting 0.0",
    ):
        assert line in text, line
    assert "burnish_prompt_tokens_total" in text


def test_the_log_has_no_contents(served):
    app = served(script=lambda asked: "a secret answer")
    app.chat("a secret question", user="a secret user")
    app.chat("a secret question", stop="secret", secret_field=1)
    lines = (app.folder / "access.jsonl").read_text()
    assert "secret" not in lines
    first = json.loads(lines.splitlines()[0])
    assert first["status"] == 200
    assert first["completion_tokens"] > 0
    assert first["seconds"] >= first["seconds_to_first_token"]
    assert json.loads(lines.splitlines()[1])["error"] == "unknown_field"


def test_a_request_has_an_id_its_own_or_ours(served):
    app = served()
    assert len(app.chat().headers["x-request-id"]) == 32
    assert app.get("/health", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert app.get("/health", headers={"X-Request-Id": "not one"}).headers["x-request-id"] != "not one"


def test_pages_of_other_origins_may_ask_where_the_settings_say_so(served):
    headers = {"Origin": "https://chat.example.com", "Access-Control-Request-Method": "POST"}
    off, on = served(), served(cors=["https://chat.example.com"])
    assert "access-control-allow-origin" not in off.get("/health", headers=headers).headers
    assert on.get("/health", headers=headers).headers["access-control-allow-origin"] == headers["Origin"]
    assert asyncio.run(on.ask("/v1/chat/completions", "OPTIONS", headers=headers)).status_code == 200
    other = {**headers, "Origin": "https://evil.example.com"}
    assert "access-control-allow-origin" not in on.get("/health", headers=other).headers


def test_a_draining_server_takes_no_new_request(served):
    app = served()
    app.state.is_draining = True
    answer = app.chat()
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "draining"
    assert app.get("/health").status_code == 200
    assert app.get("/ready").status_code == 503
    assert app.get("/metrics").status_code == 200


def test_an_engine_that_is_not_ready_shows_in_ready(served):
    app = served(ready=False)
    assert app.get("/ready").status_code == 503
    assert app.get("/health").status_code == 200


def test_adapters_are_loaded_by_an_admin_and_asked_by_name(served, key_file, tokenizer):
    from burnish.serve.chat.model import ServedModel

    async def load(name, path):
        await app.engine.add_adapter(name, path)
        return ServedModel(name, tokenizer, adapter=name)

    admin = add_key(key_file, Key("root", "", admin=True))
    plain = add_key(key_file, Key("ann", ""))
    body = {"lora_name": "cats", "lora_path": "cats@latest"}
    app = served(keys_file=str(key_file), load_adapters=True, load_adapter=load)
    path = "/v1/load_lora_adapter"
    assert app.post(body, path, **bearer(plain)).json()["error"]["code"] == "admin_key_needed"
    assert app.post(body, path, **bearer(admin)).status_code == 200
    assert app.post(body, path, **bearer(admin)).json()["error"]["code"] == "name_taken"
    assert app.chat_with(bearer(plain)["headers"], model="cats").status_code == 200
    path = "/v1/unload_lora_adapter"
    assert app.post({"lora_name": "pocket"}, path, **bearer(admin)).status_code == 400
    app.engine.is_restarting = True
    assert app.post({"lora_name": "cats"}, path, **bearer(admin)).status_code == 503
    app.engine.is_restarting = False
    assert app.chat_with(bearer(plain)["headers"], model="cats").status_code == 200
    assert app.post({"lora_name": "cats"}, path, **bearer(admin)).status_code == 200
    assert app.engine.adapters == {}
    assert app.chat_with(bearer(plain)["headers"], model="cats").status_code == 404
    off = served(load_adapter=load)
    assert off.post(body, "/v1/load_lora_adapter").json()["error"]["code"] == "adapters_off"
    assert read_keys(key_file)
