"""What a server is started with: the workspace, its address, and who may ask it."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PAGE = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Settings:
    """The settings of one server. `port` is the one that is bound, never 0."""

    workspace: Path
    host: str = "127.0.0.1"
    port: int = 8420
    allowed_hosts: tuple[str, ...] = ()
    """Further values of `Host`, such as `studio.example.org` or `studio.example.org:8443`."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies whose X-Forwarded-* headers are believed."""
    allowed_paths: tuple[Path, ...] = ()
    """Folders outside of the workspace that recipes of clients may refer to."""
    page: Path = PAGE
    """The folder of the built page."""
    most_bytes: int = 1 << 20
    """The largest body of a request; a route may set its own."""
    body_seconds: float = 20.0
    """In which the headers, and then each piece of a body, must arrive."""

    @property
    def state(self) -> Path:
        """The folder of what the server keeps: sessions, tokens, the audit log."""
        return self.workspace / ".burnish"

    @property
    def is_open(self) -> bool:
        """Whether other machines reach it."""
        return self.host not in LOOPBACK

    @property
    def address(self) -> str:
        """Where a browser of this machine finds it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "") else "[::1]" if self.host in ("::", "::1") else self.host
        return f"http://{host}:{self.port}"
