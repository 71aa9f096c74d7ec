"""The client of the page is made from the schema that the server has now."""

import json
import subprocess

from burnish.server.app import make_app
from burnish.server.openapi import schema_of
from burnish.server.settings import Settings
from page_tools import WEB, tool


def test_the_generated_client_is_that_of_the_server(tmp_path):
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(schema_of(make_app(Settings(tmp_path))), indent=1, sort_keys=True), encoding="utf-8")
    made = tmp_path / "schema.d.ts"
    subprocess.run([tool("openapi-typescript"), schema, "--output", made], cwd=WEB, check=True, capture_output=True)
    committed = WEB / "src" / "api" / "schema.d.ts"
    assert made.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), "run `make web`"
