"""A real PostgreSQL server for tests, from the programs that `pgserver` carries; it ends with the process that asks."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import psycopg

from burnish.core.processes import end_with_parent

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # no test cuts the power
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
}
INITIAL = ("-U", "burnish", "--no-sync", "--auth=trust", "--encoding=utf8", "--locale=C")
NOBODY = 65534
_PREFIX = "burnish-postgresql-"


class PostgreSQL:
    """A server that listens at a socket in a folder of its own, which `close` removes."""

    def __init__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where the environment names no folder for sockets
            from pgserver._commands import POSTGRES_BIN_PATH

        self._programs, self._names = Path(POSTGRES_BIN_PATH), itertools.count(1)
        place = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir()))
        _remove_left(place)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
        self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        if self._user:  # PostgreSQL refuses to run as root
            os.chown(self.folder, NOBODY, NOBODY)
        made = subprocess.run(
            [self._programs / "initdb", "-D", self.folder / "data", *INITIAL],
            capture_output=True,
            check=False,
            **self._user,
        )
        assert made.returncode == 0, made.stderr.decode()
        self.start()

    def start(self) -> None:
        """Start the server, also again after `stop` or `kill`."""
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        parent = os.getpid()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", "-k", self.folder, *options],
                stdout=log,
                stderr=log,
                preexec_fn=lambda: end_with_parent(parent, signal.SIGINT),
                **self._user,
            )
        end = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.02)

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://burnish@/{name}?host={self.folder}"

    def database(self, template: str = "template1") -> str:
        """The address of a new database, empty or a copy of another one."""
        name = f"d{next(self._names)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def sql(self, statement: str, name: str = "postgres") -> list[tuple]:
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server with its connections."""
        self.process.send_signal(number)
        self.process.wait(60)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True


def _remove_left(place: Path) -> None:
    """Remove the folders of processes that were killed."""
    for folder in place.glob(f"{_PREFIX}*"):
        if not Path(f"/proc/{folder.name.removeprefix(_PREFIX).partition('-')[0]}").exists():
            shutil.rmtree(folder, ignore_errors=True)
