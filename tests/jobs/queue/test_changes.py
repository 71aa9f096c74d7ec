"""Who follows the changes of the queue misses none, however they are committed."""

import threading

import pytest

import database_processes
from burnish.jobs.queue.change import changing
from burnish.jobs.queue.job import NewJob
from burnish.jobs.queue.queue import Queue


class Follower:
    """Follows the changes as a server does that passes them on, a few at a time."""

    def __init__(self, queue):
        self.queue, self.after, self.jobs, self.revisions = queue, 0, {}, []

    def follow(self):
        while some := self.queue.changes(self.after, limit=3):
            for job in some:
                self.jobs[job.id] = (job.state, job.fence, job.worker, job.requested)
                self.revisions.append(job.revision)
            self.after = some[-1].revision


def state_of(queue):
    return {job.id: (job.state, job.fence, job.worker, job.requested) for job in queue.jobs()}


def test_a_follower_of_workers_that_change_all_at_once_ends_with_their_jobs(queue, url, in_process, tmp_path):
    follower = Follower(queue)
    for number in range(1, 7):
        queue.add([NewJob("r", number, "a", "quick"), NewJob("r", number, "b", "quick", needs=["a"])])
    workers = [in_process(database_processes.do_all_jobs, url, tmp_path / "done", 30.0, True) for _ in range(3)]
    looks = 0
    while any(worker.is_alive() for worker in workers):
        follower.follow()
        looks += 1
    follower.follow()
    assert looks > 3
    assert follower.jobs == state_of(queue)
    assert follower.revisions == sorted(set(follower.revisions))
    assert follower.after == queue.revision()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_change_that_began_later_is_not_committed_before_one_that_began_earlier(queue, database, add):
    first, second = add(a=[])["a"], add(b=[])["b"]
    follower = Follower(queue)
    follower.follow()
    later = threading.Thread(target=lambda: Queue(database).cancel([second.id]))
    with changing(database) as change:
        change.set(first.id, requested="stop")
        later.start()
        later.join(0.3)
        assert later.is_alive()
        follower.follow()
        assert follower.after == 2
    later.join(30)
    follower.follow()
    assert follower.jobs == state_of(queue)
    assert follower.revisions == [1, 2, 3, 4]


def test_a_change_that_fails_gives_no_revision(queue, database, add):
    job = add(a=[])["a"]

    def fail():
        with changing(database) as change:
            change.set(job.id, requested="stop")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    queue.cancel([job.id])
    assert [job.revision for job in queue.changes()] == [2]
