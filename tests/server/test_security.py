"""Who may ask, from where, and what of it is kept: logins, sessions, tokens, CSRF, limits, the audit log."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack

import httpx
import pytest

from burnish.core.access.keys import digest_of
from burnish.core.errors import AskError
from burnish.core.processes import module_command
from burnish.server.__main__ import _arguments, _made
from burnish.server.security.forwarded import proxies_of
from burnish.server.security.hosts import Hosts, hosts_of
from burnish.server.settings import Settings
from burnish.studio.serving.logins import (
    add_token,
    announced,
    list_tokens,
    logins,
    new_login,
    remove_token,
    server_address,
    sessions,
)
from studio_server import serving

SESSION, RUNS = "/api/v1/session", "/api/v1/runs"


def cookie_of(client):
    [(name, value)] = client.cookies.items()
    return name, value


def token_client(studio, scope, **options):
    token = add_token(f"{scope}-{time.monotonic_ns()}", scope, workspace=studio.folder, **options)
    return studio.client(Authorization=f"Bearer {token}")


def test_a_login_token_is_used_once(studio):
    token = new_login(workspace=studio.folder)
    first, again = (studio.anyone.post(SESSION, json={"token": token}) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 401)
    studio.anyone.cookies.clear()


def test_two_browsers_at_the_same_moment_do_not_share_a_login(studio):
    tokens, won = logins(studio.folder), []
    secret = new_login(workspace=studio.folder)
    import threading

    threads = [threading.Thread(target=lambda: won.append(tokens.take(secret))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([ticket for ticket in won if ticket]) == 1


def test_a_login_token_expires(studio):
    token = logins(studio.folder).issue("browser", -1)
    assert studio.anyone.post(SESSION, json={"token": token}).status_code == 401


def test_the_cookie_is_for_no_script_and_no_other_site(studio):
    answer = studio.anyone.post(SESSION, json={"token": new_login(workspace=studio.folder)})
    attributes = answer.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=strict" in attributes
    assert "secure" not in attributes  # over http
    studio.anyone.cookies.clear()


def test_a_login_gives_a_new_session_and_ends_the_one_before(studio):
    """A session that an attacker planted in the browser is not the one that is logged in."""
    client = studio.log_in()
    name, before = cookie_of(client)
    client.post(SESSION, json={"token": new_login(workspace=studio.folder)})
    assert cookie_of(client)[1] != before
    assert httpx.get(studio.address + RUNS, cookies={name: before}).status_code == 401
    planted = {"Cookie": f"{name}=planted-by-somebody"}
    answer = studio.anyone.post(SESSION, json={"token": new_login(workspace=studio.folder)}, headers=planted)
    assert "planted-by-somebody" not in answer.headers["set-cookie"]
    studio.anyone.cookies.clear()
    assert studio.anyone.get(RUNS, headers=planted).status_code == 401


def test_logging_out_ends_the_session_and_no_other(studio):
    client = studio.log_in()
    name, secret = cookie_of(client)
    assert client.delete(SESSION).status_code == 204
    assert httpx.get(studio.address + RUNS, cookies={name: secret}).status_code == 401
    assert studio.page.get(RUNS).status_code == 200


def test_a_browser_is_logged_out_from_another_one(studio):
    client = studio.log_in()
    found = client.get("/api/v1/sessions").json()
    [this] = [row for row in found if row["is_this"]]
    assert studio.page.delete(f"/api/v1/sessions/{this['id']}").status_code == 204
    assert client.get(RUNS).status_code == 401


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "é"])
def test_a_change_needs_the_csrf_token_of_the_session(studio, csrf):
    client = studio.log_in()
    del client.headers["X-CSRF-Token"]
    headers = {} if csrf is None else {"X-CSRF-Token": csrf.encode()}
    answer = client.post("/api/v1/plans", json={"recipe": "demo"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "ask.not-allowed")


def test_the_csrf_token_of_another_session_does_not_help(studio):
    client = studio.log_in()
    client.headers["X-CSRF-Token"] = studio.page.headers["X-CSRF-Token"]
    assert client.post("/api/v1/plans", json={"recipe": "demo"}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_says_that_another_site_asks_is_refused(studio, site):
    assert studio.page.get(RUNS, headers={"Sec-Fetch-Site": site}).status_code == 403


def test_scopes_of_tokens(studio):
    with (
        token_client(studio, "read") as reader,
        token_client(studio, "run") as runner,
        token_client(studio, "admin") as admin,
    ):
        assert [client.get(RUNS).status_code for client in (reader, runner, admin)] == [200, 200, 200]
        stop = "/api/v1/runs/none/1/stop"
        assert [client.post(stop).status_code for client in (reader, runner, admin)] == [403, 404, 404]
        assert [client.get("/api/v1/tokens").status_code for client in (reader, runner, admin)] == [403, 403, 200]


def test_a_removed_or_expired_token_is_refused(studio, until):
    with token_client(studio, "read") as client:
        assert client.get(RUNS).status_code == 200
        name = list_tokens(workspace=studio.folder)[-1]["name"]
        remove_token(name, workspace=studio.folder)
        until(lambda: client.get(RUNS).status_code == 401)
    with token_client(studio, "read", days=1e-6) as client:
        answer = client.get(RUNS)
        assert answer.status_code == 401
        assert "expired" in answer.json()["detail"]


def test_a_workspace_that_was_moved_away_is_named_and_nobody_is_told_to_log_in(tmp_path):
    folder = tmp_path / "work"
    with serving(folder) as studio, token_client(studio, "run") as client:
        login = new_login(workspace=folder)
        folder.rename(tmp_path / "other")
        answers = [client.get(RUNS), client.post("/api/v1/jobs/1/cancel"), studio.page.get(RUNS)]
        answers.append(studio.anyone.post(SESSION, json={"token": login}))
        for answer in answers:
            assert answer.status_code == 503
            assert f"{folder} is gone" in answer.json()["detail"]
        (tmp_path / "other").rename(folder)  # nothing was made in its place
        assert client.get(RUNS).status_code == 200


def test_a_token_is_made_and_removed_over_http(studio):
    made = studio.page.post("/api/v1/tokens", json={"name": "ci", "scope": "read", "days": 2}).json()
    assert made["token"]
    assert "token" not in studio.page.get("/api/v1/tokens").text.replace('"tokens"', "").partition(made["token"])[1]
    with httpx.Client(base_url=studio.address, headers={"Authorization": f"Bearer {made['token']}"}) as client:
        assert client.get(SESSION).json() == {"name": "ci", "scope": "read", "csrf": None}
    assert studio.page.delete("/api/v1/tokens/ci").status_code == 204
    assert studio.page.delete("/api/v1/tokens/ci").status_code == 404


def test_secrets_are_kept_as_hashes(studio):
    token = add_token("hashed", "run", workspace=studio.folder)
    _, session = cookie_of(studio.page)
    kept = b"".join(path.read_bytes() for path in studio.folder.rglob("*") if path.is_file())
    assert token.encode() not in kept
    assert session.encode() not in kept
    assert digest_of(token).encode() in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in (studio.folder / ".burnish" / "access").glob("[a-z]*"))


def test_guesses_are_told_to_wait_and_nobody_is_locked_out(studio):
    statuses = [studio.anyone.post(SESSION, json={"token": f"guess-{n}"}) for n in range(30)]
    assert {answer.status_code for answer in statuses[-10:]} == {429}
    assert int(statuses[-1].headers["retry-after"]) > 0
    assert studio.log_in().get(RUNS).status_code == 200
    statuses = [studio.anyone.get(RUNS, headers={"Authorization": f"Bearer guess-{n}"}) for n in range(12)]
    assert {answer.status_code for answer in statuses} <= {401, 429}
    with token_client(studio, "read") as client:
        assert client.get(RUNS).status_code == 200


def test_the_audit_log_says_who_did_what_and_no_secret(studio):
    login = new_login(workspace=studio.folder)
    client = studio.client()
    client.post(SESSION, json={"token": login})
    client.post("/api/v1/plans", json={"yaml": "name: confidential\nsteps: {}"})
    studio.page.post("/api/v1/runs/none/7/stop?note=confidential")
    text, end = "", time.monotonic() + 10
    while "/api/v1/runs/none/7/stop" not in text and time.monotonic() < end:  # a line is written after its answer
        text = (studio.folder / ".burnish" / "audit.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    stop = next(line for line in lines if line["path"] == "/api/v1/runs/none/7/stop")
    assert (stop["who"], stop["method"], stop["status"], stop["address"]) == ("browser", "POST", 404, "127.0.0.1")
    assert any(line["path"] == "/api/v1/plans" and line["status"] == 403 and line["who"] is None for line in lines)
    for secret in (login, cookie_of(client)[1], cookie_of(studio.page)[1], "confidential"):
        assert secret not in text


def refused(folder, *options):
    """The error of a server that does not start, and its exit status."""
    command = module_command("burnish.server", "--workspace", str(folder), "--port", "0", *options)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)["error"], done.returncode


def test_an_open_bind_needs_a_token_and_makes_nothing_without_one(tmp_path):
    error, status = refused(tmp_path / "none" / "work", "--host", "0.0.0.0")
    assert (status, error["code"]) == (2, "ask.missing-key")
    assert "burnish tokens add" in error["fix"]
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_that_cannot_be_written_is_one_error_with_its_file(tmp_path):
    (tmp_path / ".burnish").write_text("in the way")
    error, _ = refused(tmp_path)
    assert error["what"] == f"{tmp_path}/.burnish is a file, expected a folder"
    assert "rename or remove it" in error["fix"]


@pytest.mark.parametrize("option", [("--trusted-proxy", "not an ip"), ("--allow-host", "http://x/y")])
def test_a_proxy_or_host_that_could_never_match_is_refused_at_the_start(tmp_path, option):
    asked = _arguments(["--workspace", str(tmp_path / "work"), "--port", "0", *option])
    with ExitStack() as kept, pytest.raises(AskError, match=f"{option[0]}: '{option[1]}'"):
        _made(asked, kept)
    assert list(tmp_path.iterdir()) == []


def test_proxies_are_compared_as_connections_have_them():
    assert proxies_of(["127.0.0.1", "[::1]", "0:0::1", "::ffff:10.0.0.1"]) == ("127.0.0.1", "::1", "::1", "10.0.0.1")


@pytest.mark.parametrize("host", ["http://x/y", "x/y", "*", "", "x:", "x:70000", "a b", "::1", "bücher.example"])
def test_a_host_that_could_never_match_is_refused(host):
    with pytest.raises(AskError, match="--allow-host"):
        hosts_of([host])


def test_hosts_are_taken_as_browsers_send_them():
    assert hosts_of(["Studio.Example:81", "[::1]:9", "x", "my_box"]) == ("studio.example:81", "[::1]:9", "x", "my_box")


def test_a_host_is_answered_with_and_without_the_port_that_its_scheme_has_anyway(tmp_path):
    hosts = Hosts(Settings(tmp_path, allowed_hosts=hosts_of(["one.example:443", "two.example:80", "three.example:81"])))
    for host, origin in (
        ("one.example", "https://one.example"),
        ("one.example:443", "https://one.example"),
        ("two.example", "http://two.example"),
        ("three.example:81", "http://three.example:81"),
    ):
        hosts.check(host, origin)
    for host, origin in (("three.example", None), ("one.example", "http://one.example"), ("one.example:80", None)):
        with pytest.raises(AskError):
            hosts.check(host, origin)


def test_of_two_servers_the_one_that_goes_on_is_found(tmp_path):
    with announced("http://127.0.0.1:1", workspace=tmp_path):
        with announced("http://127.0.0.1:2", workspace=tmp_path):
            assert server_address(workspace=tmp_path) == "http://127.0.0.1:2"
        assert server_address(workspace=tmp_path) == "http://127.0.0.1:1"
    with pytest.raises(AskError, match="no server of this workspace runs"):
        server_address(workspace=tmp_path)


def test_a_server_that_was_killed_is_not_found_and_leaves_no_file(tmp_path):
    with announced("http://127.0.0.1:1", workspace=tmp_path):
        [path] = (tmp_path / ".burnish" / "access").glob("server-*")
        said = json.loads(path.read_text())
        child = subprocess.Popen([sys.executable, "-c", ""])
        killed = {**said["process"], "pid": child.pid}
        child.wait()
        other = path.with_name("server-1-2.json")
        other.write_text(json.dumps({"address": "http://127.0.0.1:2", "process": killed}))
        path.with_name("server-1-3.json").write_text("{")
        assert server_address(workspace=tmp_path) == "http://127.0.0.1:1"
        assert not other.exists()


def test_ui_tells_where_the_server_is_and_logs_in_again(studio):
    command = [sys.executable, "-m", "burnish.cli.main", "--workspace", str(studio.folder), "--json", "ui", "--token"]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)
    assert said["address"] == studio.address
    token = said["login"].partition("#token=")[2]
    assert studio.anyone.post(SESSION, json={"token": token}).status_code == 200
    studio.anyone.cookies.clear()


def test_a_damaged_file_of_sessions_is_named(tmp_path):
    tickets = sessions(tmp_path)
    tickets.issue("browser", 60)
    path = tmp_path / ".burnish" / "access" / "sessions.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(AskError, match="is damaged") as caught:
        tickets.find("x")
    assert "remove it" in caught.value.fix
