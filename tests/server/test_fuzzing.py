"""Schemathesis over the schema: no request that it describes, and none beside it, is a fault of the server."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from burnish.server.app import make_app
from burnish.server.openapi import schema_of
from burnish.server.settings import Settings
from burnish.studio.serving.logins import add_token

SLOW = r"/events$|/devices$|/doctor$|/generate"
"""Streams that do not end by themselves, and routes that start processes which import torch."""
SCHEMA = schemathesis.openapi.from_dict(schema_of(make_app(Settings(Path("/nonexistent-workspace"))))).exclude(
    path_regex=SLOW
)
QUIET = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
]
few = settings(max_examples=2, deadline=None, suppress_health_check=QUIET, phases=[Phase.generate], derandomize=True)
many = settings(max_examples=150, deadline=None, suppress_health_check=QUIET)


@pytest.fixture(scope="module")
def token(studio):
    return add_token("fuzzing", "admin", workspace=studio.folder)


def ask(case, studio, token):
    headers = {"Authorization": f"Bearer {token}"}
    answer = case.call(base_url=studio.address, headers=headers, timeout=60)
    case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])


@SCHEMA.parametrize()
@few
def test_a_few_requests_to_every_operation(case, studio, token):
    ask(case, studio, token)


@pytest.mark.torture
@SCHEMA.parametrize()
@many
def test_many_requests_to_every_operation(case, studio, token):
    ask(case, studio, token)
