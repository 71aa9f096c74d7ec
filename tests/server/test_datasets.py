"""Datasets over HTTP: uploads as a raw body and as a form, hostile ones too; pages, previews, edits."""

import hashlib
import json
import socket
import threading
from urllib.parse import quote, urlsplit

import pytest

from burnish.studio.serving.logins import add_token
from studio_server import serving

ROWS = b"".join(json.dumps({"prompt": f"question {n}", "response": f"answer {n}"}).encode() + b"\n" for n in range(200))


@pytest.fixture
def uploads(studio):
    """The folder of uploads, and what is in it besides records."""
    folder = studio.folder / "data" / "uploads"

    def names():
        return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []

    yield names
    for name in names():
        studio.page.delete(f"/api/v1/datasets/{quote(name)}")
    assert names() == []


def put(studio, name, content=ROWS, **options):
    return studio.page.put(f"/api/v1/datasets/{quote(name, safe='')}", content=content, **options)


def send(studio, head, *parts, close=True):
    """Send bytes as they are, and give the status line of the answer, if there is one."""
    address = urlsplit(studio.address)
    cookie = "; ".join(f"{name}={value}" for name, value in studio.page.cookies.items())
    common = f"Host: {address.netloc}\r\nCookie: {cookie}\r\nX-CSRF-Token: {studio.page.headers['X-CSRF-Token']}\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(f"{head}\r\n{common}".encode("latin-1") + parts[0])
        for part in parts[1:]:
            connection.sendall(part)
        if close:
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536).partition(b"\r\n")[0]


def test_a_file_is_uploaded_listed_read_previewed_edited_and_deleted(studio, uploads):
    record = put(studio, "rows.jsonl")
    assert record.status_code == 201, record.text
    assert record.json()["sha256"] == hashlib.sha256(ROWS).hexdigest()
    (listed,) = studio.page.get("/api/v1/datasets").json()["datasets"]
    assert (listed["name"], listed["origin"], listed["bytes"]) == ("rows.jsonl", "upload", len(ROWS))
    detail = studio.page.get("/api/v1/datasets/rows.jsonl").json()
    assert (detail["rows"], detail["layout"]["format"]) == (200, "prompt_response")
    page = studio.page.get("/api/v1/datasets/rows.jsonl/rows", params={"offset": 150, "limit": 2}).json()
    assert [row["value"]["response"] for row in page["rows"]] == ["answer 150", "answer 151"]
    shown = studio.page.get("/api/v1/datasets/rows.jsonl/preview", params={"tokenizer": "builtin:pocket", "limit": 1})
    assert shown.json()["rows"][0]["learned"] > 0
    wanted = {"tokenizer": "builtin:pocket", "render": {"train_on": "all"}, "limit": 1}
    everything = studio.page.post("/api/v1/datasets/rows.jsonl/preview", json=wanted).json()
    assert everything["rows"][0]["learned"] > shown.json()["rows"][0]["learned"]
    edited = studio.page.patch("/api/v1/datasets/rows.jsonl/rows/3", json={"value": {"prompt": "p", "response": "r"}})
    assert (edited.status_code, edited.json()["name"]) == (201, "rows.v2.jsonl")
    row = studio.page.get("/api/v1/datasets/rows.v2.jsonl/rows", params={"offset": 3, "limit": 1}).json()["rows"][0]
    assert row["value"] == {"prompt": "p", "response": "r"}
    assert studio.page.delete("/api/v1/datasets/rows.jsonl").json() == {"name": "rows.jsonl", "deleted": True}
    assert uploads() == ["rows.v2.jsonl"]


def test_a_browser_s_form_is_uploaded(studio, uploads):
    files = {"file": ("Meine Zeilen 数据.jsonl", ROWS)}
    answer = studio.page.post("/api/v1/datasets", files=files)
    assert (answer.status_code, answer.json()["name"]) == (201, "Meine-Zeilen-数据.jsonl")
    again = studio.page.post("/api/v1/datasets", files=files)
    assert (again.status_code, again.json()["code"]) == (409, "ask.name-taken")
    versioned = studio.page.post("/api/v1/datasets", params={"existing": "version"}, files=files)
    assert versioned.json()["name"] == "Meine-Zeilen-数据.v2.jsonl"
    assert (studio.folder / "data" / "uploads" / "Meine-Zeilen-数据.jsonl").read_bytes() == ROWS


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../x.jsonl",
        "a/b.jsonl",
        "x\0y",
        "con.jsonl",
        "a" * 300,
        "\u2025\uff0fx",
        "\u202egnp.x",
        ".hidden",
        "a\nb",
        "C:x",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(studio, uploads, name):
    answer = put(studio, name)
    assert answer.status_code in (404, 405, 422), answer.text
    assert answer.json()["fix"]
    form = studio.page.post("/api/v1/datasets", files={"file": (name, ROWS)})
    assert form.status_code == 422 or uploads() == [form.json()["name"]]  # httpx and the parser encode some of them
    assert [path.name for path in studio.folder.iterdir() if path.name not in ("data", ".burnish", "runs")] == []


def test_two_uploads_of_one_name_at_once_give_one_file(studio, uploads):
    barrier, statuses = threading.Barrier(3), []

    def body(letter):
        yield letter * (2 << 20)
        barrier.wait(20)
        yield letter * (2 << 20)

    def go(letter):
        statuses.append(put(studio, "one.txt", body(letter)).status_code)

    threads = [threading.Thread(target=go, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [201, 409, 409]
    assert len(set((studio.folder / "data" / "uploads" / "one.txt").read_bytes())) == 1
    assert uploads() == ["one.txt"]


def test_a_body_that_ends_early_leaves_nothing(studio, uploads, until):
    head = "PUT /api/v1/datasets/early.txt HTTP/1.1"
    send(studio, head, b"Content-Length: 1000000\r\n\r\n", b"x" * 5000)
    send(studio, head, b"Transfer-Encoding: chunked\r\n\r\n", b"1388\r\n" + b"x" * 5000 + b"\r\n")
    until(lambda: uploads() == [], 10)
    assert studio.page.get("/api/v1/datasets").json()["datasets"] == []


def test_bytes_beyond_the_stated_length_are_not_of_the_file(studio, uploads):
    line = send(
        studio, "PUT /api/v1/datasets/more.txt HTTP/1.1", b"Content-Length: 5\r\n\r\n", b"12345extra", close=False
    )
    assert line.startswith(b"HTTP/1.1 201")
    assert (studio.folder / "data" / "uploads" / "more.txt").read_bytes() == b"12345"


def test_a_body_that_is_said_to_be_too_large_is_refused_before_it_is_read(studio, uploads):
    head = "PUT /api/v1/datasets/large.txt HTTP/1.1"
    line = send(studio, head, f"Content-Length: {1 << 50}\r\n\r\n".encode(), b"x", close=False)
    assert line.startswith(b"HTTP/1.1 413")
    assert uploads() == []


def test_a_wrong_checksum_leaves_nothing(studio, uploads):
    answer = put(studio, "sum.txt", params={"sha256": "0" * 64})
    assert (answer.status_code, answer.json()["code"]) == (422, "data.wrong-checksum")
    assert put(studio, "sum.txt", params={"sha256": "short"}).status_code == 422
    assert uploads() == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n--x--"),
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"nonsense"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ncut off',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            2 * b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n' + b"--x--\r\n",
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A" * 100_000 + b": b\r\n\r\n--x--\r\n"),
        (f"multipart/form-data; boundary={'x' * 5000}", b""),
    ],
)
def test_a_broken_form_is_refused_and_leaves_nothing(studio, uploads, content_type, body):
    answer = studio.page.post("/api/v1/datasets", content=body, headers={"content-type": content_type})
    assert answer.status_code in (413, 422), answer.text
    assert answer.json()["fix"]
    assert uploads() == []


def test_odd_content_is_stored_and_its_faults_are_shown_by_row(studio, uploads):
    odd = (
        b'{"prompt": "caf\xe9", "response": "x"}\n'
        + ROWS.partition(b"\n")[0]
        + b"\n"
        + b'{"prompt": "'
        + b"x" * (17 << 20)
        + b'"}\n'
    )
    assert put(studio, "odd.jsonl", odd).status_code == 201
    rows = studio.page.get("/api/v1/datasets/odd.jsonl/rows").json()["rows"]
    assert ["UTF-8" in rows[0]["bad"]["reason"], rows[1]["bad"], "bytes" in rows[2]["bad"]["reason"]] == [
        True,
        None,
        True,
    ]
    assert put(studio, "program.exe", b"MZ").status_code == 201
    answer = studio.page.get("/api/v1/datasets/program.exe")
    assert (answer.status_code, answer.json()["code"]) == (422, "data.unreadable")


@pytest.mark.parametrize("name", ["none.jsonl", "data/../x", "data/%2e%2e/x", "..%2f..%2fetc%2fpasswd", "a.b@1", "%00"])
@pytest.mark.parametrize("part", ["", "/rows", "/preview", "/quarantine"])
def test_an_unknown_name_is_not_found(studio, name, part):
    answer = studio.page.get(f"/api/v1/datasets/{name}{part}")
    assert answer.status_code == 404
    assert "passwd" not in answer.text or "etc" in name


def test_pages_out_of_bounds_are_refused(studio, uploads):
    put(studio, "rows.jsonl")
    for params in ({"limit": 0}, {"limit": 501}, {"offset": -1}, {"limit": "x"}):
        assert studio.page.get("/api/v1/datasets/rows.jsonl/rows", params=params).status_code == 422
    assert studio.page.get("/api/v1/datasets/rows.jsonl/rows", params={"offset": 10**12}).json()["rows"] == []
    assert studio.page.get("/api/v1/datasets/rows.jsonl/rows", params={"split": "../x"}).status_code == 404


def test_a_reader_downloads_nothing_for_a_preview(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # a download is tried, and fails at once
    (tmp_path / "data" / "lora").mkdir(parents=True)
    (tmp_path / "data" / "rows.jsonl").write_bytes(ROWS)
    adapter = {"base_model_name_or_path": "owner/huge", "revision": "0" * 40}
    (tmp_path / "data" / "lora" / "adapter_config.json").write_text(json.dumps(adapter))
    url = "/api/v1/datasets/data/rows.jsonl/preview"
    by_scope = {"read": ["ask.not-allowed"] * 2, "run": ["machine.no-network", "model.not-found"]}
    with serving(tmp_path) as studio:
        for scope, codes in by_scope.items():
            client = studio.client(Authorization=f"Bearer {add_token(scope, scope, workspace=tmp_path)}")
            for ref, code in zip((f"hub:owner/huge@{'0' * 40}", "file:data/lora"), codes, strict=True):
                answers = client.get(url, params={"tokenizer": ref}), client.post(url, json={"tokenizer": ref})
                assert [answer.json().get("code") for answer in answers] == [code, code], answers[0].text
