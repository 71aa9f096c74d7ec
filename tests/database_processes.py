"""What processes of their own do to a database, for tests that kill and stop them. Started by a server that forks."""

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine, event

from burnish.core.errors import RunError
from burnish.jobs.database import schema
from burnish.jobs.database.database import Database
from burnish.jobs.database.engines import parse
from burnish.jobs.identity import this_process
from burnish.jobs.queue.queue import Queue

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["database_processes", "alembic.command", "alembic.config", "psycopg"])


def open_and_die(url: str, migrations: Path, statements: int) -> None:
    """Open a database, and be killed before its schema is changed by one more than so many statements."""
    schema._FOLDER = migrations
    left = iter(range(statements))

    def count(connection, cursor, statement, *_):
        is_change = not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN", "SET", "SHOW"))
        if is_change and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", lambda connection: count(connection, None, "COMMIT"))
    Database(parse(url)).close()


def open_when_told(url: str, migrations: Path, told, results) -> None:
    """Open a database at the same moment as others; reports its version, or the error."""
    schema._FOLDER = migrations
    told.wait(60)
    try:
        database = Database(parse(url))
        with database.reading() as connection:
            results.put(schema.version_of(connection))
        database.close()
    except Exception as error:
        results.put(repr(error))


def queue_of(url: str, lease_seconds: float) -> Queue:
    return Queue(Database(parse(url)), lease_seconds=lease_seconds, max_losses=1_000_000)


def do_all_jobs(url: str, done: Path, lease_seconds: float, is_seen: bool) -> None:
    """Do jobs until all have ended: each is a line in a file, `did <job> <fence>`, and another one once it counts.

    A worker that is not seen can only be missed: nobody can tell that its process has ended.
    """
    queue, identity = queue_of(url, lease_seconds), this_process()
    worker = queue.register_worker({"cpu": 1}, identity if is_seen else replace(identity, boot=""))
    while True:
        lease = queue.lease(worker, ("cpu",))
        if lease is not None:
            append(done, f"did {lease.id} {lease.fence}")
            try:
                queue.finish(lease, "succeeded")
            except RunError as error:
                if error.code != "run.fenced":
                    raise
            else:
                append(done, f"counted {lease.id} {lease.fence}")
        elif queue.jobs(state=("queued", "running"), limit=1):
            time.sleep(0.01)
        else:
            return


def append(path: Path, line: str) -> None:
    """Append a line, in one call of the system."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def hold(url: str, lease_seconds: float, reports) -> None:
    """Lease a job, be stopped between two renewals, and go on; reports whether it is late then, and what ends it."""
    queue = queue_of(url, lease_seconds)
    lease = queue.lease(queue.register_worker({"cpu": 1}), ("cpu",))
    queue.renew(lease)
    reports.send("overdue" if lease.is_overdue else "held")
    os.kill(os.getpid(), signal.SIGSTOP)
    reports.send("overdue" if lease.is_overdue else "held")
    for act in (lambda: queue.renew(lease), lambda: queue.finish(lease, "succeeded")):
        try:
            act()
        except RunError as error:
            reports.send(error.code)
