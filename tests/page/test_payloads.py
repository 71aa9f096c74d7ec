"""Rows, logs, notes, errors and file names that are attacks on the page: 0 run in a real Chromium under a strict policy
(design page 5, row 25)."""

import json
from itertools import chain

import pytest

import burnish
from burnish.core.events import Note, Table
from burnish.core.runs.workspace import Workspace

_SCRIPTS = (
    "<script>{}</script>",
    "<ScRiPt/x>{}</sCrIpT>",
    "<scr<script>ipt>{}</scr</script>ipt>",
    "<img src=x onerror={}>",
    '<img src=x onerror="{}">',
    "<svg onload={}>",
    "<svg/onload='{}'>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<body onload={}>",
    "<iframe srcdoc='<script>parent.{}</script>'></iframe>",
    "<iframe src=javascript:{}></iframe>",
    "<object data=javascript:{}>",
    "<embed src=javascript:{}>",
    "<a href=javascript:{}>click</a>",
    "[click](javascript:{})",
    "![x](x' onerror='{}')",
    "<details open ontoggle={}>",
    "<input autofocus onfocus={}>",
    "<video><source onerror={}></video>",
    "<marquee onstart={}>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror={}>",
    "<style>@import 'javascript:{}';</style>",
    "<link rel=stylesheet href=javascript:{}>",
    "<base href=javascript:{}//>",
    "<form action=javascript:{}><input type=submit></form>",
    "<template><script>{}</script></template>",
    "{{{{constructor.constructor('{}')()}}}}",
    "${{{}}}",
    "</textarea><script>{}</script>",
    "</script><script>{}</script>",
    "'-{}-'",
    '"><script>{}</script>',
    "\u2028{}\u2029",
    "<img src=`x`onerror={}>",
    "\x1b]8;;javascript:{}\x07link\x1b]8;;\x07",
    "\x1b[31m<script>{}</script>\x1b[0m",
    "%3Cscript%3E{}%3C/script%3E",
    "&lt;script&gt;{}&lt;/script&gt;",
    "&#60;script&#62;{}&#60;/script&#62;",
    "<noscript><p title='</noscript><img src=x onerror={}>'>",
)
_CALLS = ("window.hit=1", "alert('hit=1')")
PAYLOADS = [script.replace("{}", call) for script in _SCRIPTS for call in _CALLS]


@pytest.fixture(scope="module")
def hostile(visited):
    """A workspace whose dataset, runs, logs, notes and errors are payloads."""
    place = Workspace(visited / "work")
    uploads = place.root / "data" / "uploads"
    uploads.mkdir(parents=True)
    rows = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": f"{text} hit=1"}]}
        for text in PAYLOADS
    ]
    (uploads / "hostile.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    step = {"stage": "prepare", "source": f"file:{uploads / 'hostile.jsonl'}"}
    run = burnish.run({"name": "hostile", "steps": {"data": step}}, workspace=place.root)["data"].run
    with run.log.open("a", encoding="utf-8") as log:
        log.writelines(f"2026-11-23 00:00:00,000 WARNING burnish: {text} hit=1\n" for text in PAYLOADS)
    for text in PAYLOADS:
        run.events.append(Note(level="warning", text=f"{text} hit=1"))
    run.events.append(Table(title="<script>window.hit=1</script>", columns=PAYLOADS[:3], rows=[PAYLOADS[3:6]]))
    failed = place.run("hostile", place.claim_number("hostile"), "data")
    failed.create({**run.job, "number": 2})
    steps = [{"step": "data", "folder": failed.name, "stage": "prepare", "action": "run"}]
    plan = place.plan_of("hostile", 1)
    place.record_plan("hostile", 2, {**plan, "steps": [{**plan["steps"][0], **steps[0]}]})
    failed.transition("running")
    error = {"code": "run.failed", "what": " ".join(PAYLOADS), "fix": f"{PAYLOADS[0]} hit=1", "exit_status": 6}
    failed.transition("failed", reason=PAYLOADS[0], error=error)
    return place


SCREENS = (
    *("/data/hostile.jsonl", "/data/hostile.data@1", "/runs/hostile/1?step=data", "/runs/hostile/2?step=data"),
    *(f"/runs/hostile/1?step=data&tab={tab}" for tab in ("samples", "logs")),
)


def test_no_payload_runs_and_none_leaves_a_link(travel, hostile):
    assert len(PAYLOADS) >= 60
    lines = travel("payloads.mjs", PATHS=" ".join(SCREENS))
    assert [line["path"] for line in lines] == list(SCREENS)
    assert [line for line in lines if line["hit"] is not None] == []
    assert list(chain.from_iterable(line["links"] for line in lines)) == []
    assert list(chain.from_iterable(line["faults"] for line in lines)) == []
