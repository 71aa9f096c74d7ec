"""The address of a server: bound before it is served, so that an error of it comes first."""

import socket

from burnish.core.errors import AskError


class _Bound(socket.socket):
    """A bound socket. Once it listens nobody else can bind its address, and its connections may outlive it: else a
    server that restarts within a minute would find the address in use."""

    def listen(self, backlog: int = 128, /) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        super().listen(backlog)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket with the address, which refuses connections until it is served, and which nobody else can bind.

    Errors: AskError `ask.wrong-value` if the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = _Bound(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # which asyncio looks for to send each piece at once
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # else others bind it too until one of them listens
    except OSError as error:
        bound.close()
        why = error.strerror or str(error)
        fix = "choose another port, such as port=0 for a free one, or end what listens there"
        raise AskError("ask.wrong-value", f"port: cannot listen on {host}:{port}: {why}", fix) from error
    bound.set_inheritable(False)
    return bound


def address_of(bound: socket.socket) -> str:
    """The URL of a bound socket."""
    host, port, *_ = bound.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
