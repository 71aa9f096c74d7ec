"""A real HTTP server that speaks the chat-completions protocol, with faults in the order that a test lists."""

import pytest

from burnish.testing import ChatServer


@pytest.fixture
def server():
    with ChatServer() as server:
        yield server
