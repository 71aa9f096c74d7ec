"""Schemathesis over the schema: no request that it describes, and none beside it, is a fault of the server."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import one_of

from burnish.server.app import make_app
from burnish.server.openapi import schema_of
from burnish.server.settings import Settings
from burnish.studio.serving.logins import add_token

SLOW = r"/events$|/devices$|/doctor$|/generate"
"""Streams that do not end by themselves, and routes that start processes which import torch."""
SCHEMA = schema_of(make_app(Settings(Path("/nonexistent-workspace"))))
OPERATIONS = [
    (method.upper(), path) for path, item in SCHEMA["paths"].items() for method in item if not re.search(SLOW, path)
]
QUIET = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
]
few = settings(max_examples=2, deadline=None, suppress_health_check=QUIET, phases=[Phase.generate], derandomize=True)


@pytest.fixture(scope="module")
def schema():
    import schemathesis  # takes a second: no other test waits for it

    return schemathesis.openapi.from_dict(SCHEMA)


@pytest.fixture(scope="module")
def token(studio):
    return add_token("fuzzing", "admin", workspace=studio.folder)


def ask(case, studio, token):
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import response_schema_conformance

    headers = {"Authorization": f"Bearer {token}"}
    answer = case.call(base_url=studio.address, headers=headers, timeout=60)
    case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_few_requests_to_every_operation(schema, studio, token, method, path):
    from schemathesis import GenerationMode

    @few
    @given(case=one_of(schema[path][method].as_strategy(generation_mode=mode) for mode in GenerationMode))
    def asked(case):
        ask(case, studio, token)

    asked()


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_many_requests_to_every_operation(studio, token, tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(tmp_path / "schema.json"), "--url", studio.address]
    command += ["--header", f"Authorization: Bearer {token}", "--exclude-path-regex", SLOW, "--request-timeout", "60"]
    command += ["--checks", "not_a_server_error,response_schema_conformance", "--warnings", "off"]
    command += ["--suppress-health-check", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "150"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
