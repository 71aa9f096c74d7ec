"""Every route and method: without a token, with an evil Origin, with an evil Host, with traversal in each parameter."""

import itertools
import re
import socket
from pathlib import Path

import httpx
import pytest

from burnish.server.app import API, make_app, refuse_unguarded
from burnish.server.openapi import schema_of
from burnish.server.routing import Router
from burnish.server.settings import Settings
from made_runs import made_run

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
OPEN = {("GET", "/health"), ("HEAD", "/health"), ("POST", f"{API}/session")}
"""Routes that need no token; the second takes a one-time one."""
SCHEMA = schema_of(make_app(Settings(Path("/nonexistent-workspace"))))
ROUTES = sorted((method.upper(), path) for path, item in SCHEMA["paths"].items() for method in item)
PATHS = sorted(SCHEMA["paths"])
VALUES = {"recipe": "made", "number": "1", "step": "tune", "id": "1", "name": "x", "path": "run.json"}
OUTSIDE = (
    "../secret.txt",
    "../../../../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/secret.txt",
    "..%5c..%5csecret.txt",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "file:///etc/passwd",
    "....//....//secret.txt",
    "x%00/../../secret.txt",
    "link/secret.txt",
    "~/secret.txt",
    "C:%5csecret.txt",
    "out/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.txt",
)
ORIGINS = ("https://evil.example", "http://127.0.0.1:1", "null", "http://localhost.evil.example")
HOSTS = ("evil.example", "127.0.0.1:1", "localhost", "127.0.0.1.evil.example", "127.0.0.1@evil.example")
SECRET = "the-secret-outside-of-the-workspace"


def address(path, /, **values):
    return re.sub(r"{(\w+)}", lambda found: {**VALUES, **values}.get(found[1], "x"), path)


@pytest.fixture(scope="module")
def anyone(studio):
    with httpx.Client(base_url=studio.address, timeout=30) as client:
        yield client


def test_only_few_routes_are_open():
    for method, path in ROUTES:
        operation = SCHEMA["paths"][path][method.lower()]
        assert ((method, path) in OPEN) == (operation["x-scope"] == "open"), (method, path)
        assert operation["x-scope"] in ("open", "read", "run", "admin")
        assert (operation["security"] == []) == ((method, path) in OPEN)


@pytest.mark.parametrize("path", PATHS)
def test_no_method_of_a_route_answers_without_a_token(anyone, path):
    for method in METHODS:
        if (method, path) in OPEN:
            continue
        answer = anyone.request(method, address(path))
        if method in ("GET", "HEAD") and (method, path) not in ROUTES and not path.startswith(("/api", "/v1")):
            assert "text/html" in answer.headers["content-type"]  # the page, which everybody gets
        else:
            assert answer.status_code in (401, 405), (method, path, answer.status_code)
            kind = "application/json" if path.startswith("/v1") else "application/problem+json"
            assert answer.headers["content-type"] == kind


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_wrong_token_or_cookie_opens_no_route(studio, anyone, method, path):
    if (method, path) in OPEN:
        return
    name = next(iter(studio.page.cookies))
    for headers in ({"Authorization": "Bearer burnish-x"}, {"Authorization": "Basic eDp5"}, {"Cookie": f"{name}=x"}):
        assert anyone.request(method, address(path), headers=headers).status_code in (401, 429)


def asked(values):
    """Each route and method with one of some values, each value on every method."""
    return zip(itertools.product(METHODS, [*PATHS, "/", "/login"]), itertools.cycle(values))


def refuse_origin(studio, method, path, origin):
    answer = studio.page.request(method, address(path), headers={"Origin": origin})
    assert answer.status_code == 403, (method, path, origin)
    assert "access-control-allow-origin" not in answer.headers


def refuse_host(studio, method, path, host):
    assert studio.page.request(method, address(path), headers={"Host": host}).status_code == 403, (method, path, host)


def test_every_route_and_method_refuses_evil_origins(studio):
    for (method, path), origin in asked(ORIGINS):
        refuse_origin(studio, method, path, origin)


def test_every_route_and_method_refuses_evil_hosts(studio):
    for (method, path), host in asked(HOSTS):
        refuse_host(studio, method, path, host)


@pytest.mark.torture
@pytest.mark.parametrize("origin", ORIGINS)
def test_each_evil_origin_is_refused_on_every_route_and_method(studio, origin):
    for (method, path), value in asked([origin]):
        refuse_origin(studio, method, path, value)


@pytest.mark.torture
@pytest.mark.parametrize("host", HOSTS)
def test_each_evil_host_is_refused_on_every_route_and_method(studio, host):
    for (method, path), value in asked([host]):
        refuse_host(studio, method, path, value)


def test_the_servers_own_origin_is_let_in(studio):
    port = studio.address.rpartition(":")[2]
    for name in ("127.0.0.1", "localhost", "[::1]"):
        headers = {"Host": f"{name}:{port}", "Origin": f"http://{name}:{port}"}
        assert studio.page.get("/health", headers=headers).status_code == 200


@pytest.mark.parametrize("host", [None, ""])
def test_a_request_without_a_host_is_refused(studio, host):
    name, _, port = studio.address.removeprefix("http://").rpartition(":")
    line = "" if host is None else "Host: \r\n"
    with socket.create_connection((name, int(port)), 20) as connection:
        connection.sendall(f"GET /health HTTP/1.0\r\n{line}\r\n".encode())
        assert b" 403 " in connection.makefile("rb").readline()


def _parameters():
    for method, path in ROUTES:
        for parameter in SCHEMA["paths"][path][method.lower()].get("parameters", ()):
            if parameter["in"] in ("path", "query"):
                yield method, path, parameter["in"], parameter["name"]


def read_outside(studio, parameter, values):
    method, path, place, name = parameter
    for value in values:
        target = address(path, **{name: value}) if place == "path" else f"{address(path)}?{name}={value}"
        with studio.page.stream(method, address(path), extensions={"target": target.encode()}) as answer:  # as it is
            if "event-stream" in answer.headers["content-type"]:
                continue
            text = answer.read().decode(errors="replace")
        assert SECRET not in text
        assert "root:x:" not in text
        assert answer.status_code < 500, (value, text)


PARAMETERS = list(_parameters())


@pytest.mark.parametrize(
    "number", range(len(PARAMETERS)), ids=lambda number: "-".join(PARAMETERS[number][:2] + PARAMETERS[number][3:])
)
def test_no_parameter_leads_out_of_the_workspace(studio, made, number):
    some = [OUTSIDE[(number + step) % len(OUTSIDE)] for step in (0, 5, 10)]
    read_outside(studio, PARAMETERS[number], some)


@pytest.mark.torture
@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: "-".join(parameter))
def test_no_parameter_leads_out_of_the_workspace_by_any_way(studio, made, parameter):
    read_outside(studio, parameter, OUTSIDE)


@pytest.fixture(scope="module")
def made(studio):
    """A run, a secret beside the workspace, and a link that leads there."""
    secret = studio.folder.parent / "secret.txt"
    secret.write_text(SECRET)
    run = made_run(studio.folder)
    assert run.name == "made/1"
    folder = run.step("tune").folder
    (folder / "link").symlink_to(secret.parent)
    (folder / "direct").symlink_to(secret)
    return run


def test_files_of_a_step_are_read_and_links_out_of_it_are_not(studio, made):
    path = made.path("/tune/files")
    assert studio.page.get(f"{path}/run.json").json()["step"] == "tune"
    assert [studio.page.get(f"{path}/{name}").status_code for name in ("link/secret.txt", "direct", "out")] == [404] * 3
    assert "direct" not in {row["name"] for row in studio.page.get(path).json()["files"]}


def test_a_part_of_a_file_is_read_by_its_range(studio, made):
    path = made.path("/tune/files/events.jsonl")
    whole = studio.page.get(path).content
    answer = studio.page.get(path, headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, whole[10:20])
    assert answer.headers["content-security-policy"].startswith("sandbox")


def test_every_answer_says_what_a_browser_may_do_with_it(studio):
    for path in ("/", "/health", f"{API}/runs", f"{API}/nothing", "/assets/none.js"):
        headers = studio.page.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]


def test_each_page_has_a_nonce_of_its_own(studio):
    policies = {studio.anyone.get("/").headers["content-security-policy"] for _ in range(3)}
    assert len(policies) == 3


def test_a_route_without_a_scope_cannot_be_made():
    with pytest.raises(TypeError):
        Router().get("/x")  # pyright: ignore
    with pytest.raises(ValueError, match="has no scope"):
        Router().add_api_route("/x", lambda: None)
    app = make_app(Settings(Path("/nonexistent-workspace")))
    app.router.routes.clear()
    app.add_api_route("/x", lambda: None)
    with pytest.raises(ValueError, match="has no scope"):
        refuse_unguarded(app)


def test_every_operation_has_a_name_of_its_own_and_a_summary():
    operations = [SCHEMA["paths"][path][method.lower()] for method, path in ROUTES]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation.get("description") or operation.get("summary") for operation in operations)
