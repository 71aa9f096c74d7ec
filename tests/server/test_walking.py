"""The server answers, lets in who has the one-time token, and lists runs."""


def test_health_needs_no_login(studio):
    assert studio.anyone.get("/health").json()["status"] == "ok"


def test_runs_need_a_login(studio):
    answer = studio.anyone.get("/api/v1/runs")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "ask.not-logged-in"
    assert answer.json()["fix"]


def test_a_browser_that_is_logged_in_lists_runs(studio):
    assert studio.page.get("/api/v1/runs").json() == {"runs": [], "next": None, "total": 0}


def test_the_page_answers_at_every_address_of_its_own(studio):
    for path in ("/", "/login", "/runs/demo/3"):
        answer = studio.anyone.get(path)
        assert answer.headers["content-type"].startswith("text/html")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_an_unknown_route_is_a_problem(studio):
    answer = studio.anyone.get("/api/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "ask.no-such-route")
