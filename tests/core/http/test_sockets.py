"""The address of a server: nobody else's while it is served, and free again at once when it ends."""

import asyncio
import contextlib
import socket

import pytest

from burnish.core.errors import AskError
from burnish.core.http.sockets import bound_socket


def test_a_server_that_restarts_gets_its_address_again():
    async def served(port):
        """Serve one connection, and close it from this side, which keeps it waiting in the system."""
        with bound_socket("127.0.0.1", port) as bound:
            async with await asyncio.start_server(lambda _, writer: writer.close(), sock=bound):
                reader, writer = await asyncio.open_connection(*bound.getsockname())
                await reader.read()
                writer.close()
            return bound.getsockname()[1] if bound.fileno() >= 0 else port

    with bound_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    for _ in range(3):
        asyncio.run(served(port))


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_is_taken_by_one(listens):
    with bound_socket("127.0.0.1", 0) as bound:
        if listens:
            bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(AskError, match=f"127.0.0.1:{port}"):
            bound_socket("127.0.0.1", port)
        if listens:  # before, another program that asks for it may bind it too, and one of both fails to listen
            with contextlib.closing(socket.socket()) as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError):
                    other.bind(("127.0.0.1", port))


def test_an_answer_in_two_pieces_is_sent_at_once():
    """Else its second piece would wait 40 ms until the client confirms the first."""

    async def is_sent_at_once():
        said = asyncio.get_running_loop().create_future()

        def connected(_, writer):
            said.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with bound_socket("127.0.0.1", 0) as bound:
            async with await asyncio.start_server(connected, sock=bound):
                _, writer = await asyncio.open_connection(*bound.getsockname())
                writer.close()
                return await said

    assert asyncio.run(is_sent_at_once())
