"""A queue in an empty database of each kind, and shorthand for jobs."""

import pytest

from burnish.jobs.database.database import Database
from burnish.jobs.database.engines import parse
from burnish.jobs.queue.job import NewJob
from burnish.jobs.queue.queue import Queue


@pytest.fixture
def database(url):
    database = Database(parse(url))
    yield database
    database.close()


@pytest.fixture
def queue(database):
    return Queue(database)


@pytest.fixture
def add(queue):
    """Add the steps of a run, each with what it needs: `add(tune=[], measure=["tune"])`; gives them by name."""
    numbers = iter(range(1, 1000))

    def add(number=None, /, *, slot="cpu", priority=0, max_attempts=1, **steps):
        number = number or next(numbers)
        rest = {"slot": slot, "priority": priority, "max_attempts": max_attempts}
        new = [NewJob("r", number, step, "quick", needs=needs, **rest) for step, needs in steps.items()]
        return {job.step: job for job in queue.add(new)}

    return add


@pytest.fixture
def worker(queue):
    return queue.register_worker({"cpu": 1, "gpu": 1})
