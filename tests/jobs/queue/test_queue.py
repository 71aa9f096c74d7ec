"""The verbs of the queue, one by one."""

import time
from dataclasses import replace

import pytest

from burnish.core.errors import AskError, RunError
from burnish.jobs.queue.job import SILENT_SECONDS, NewJob

BOTH = ("cpu", "gpu")


def states(queue):
    return {job.step: job.state for job in queue.jobs()}


def test_a_job_is_added_leased_and_finished(queue, add, worker):
    added = add(tune=[])["tune"]
    assert (added.state, added.name, added.attempts) == ("queued", "r/1/tune", 0)
    lease = queue.lease(worker, BOTH)
    assert (lease.id, lease.job.state, lease.job.worker, lease.job.attempts) == (added.id, "running", worker.id, 1)
    assert queue.renew(lease) is None
    done = queue.finish(lease, "succeeded")
    assert (done.state, done.ended is not None) == ("succeeded", True)
    assert queue.lease(worker, BOTH) is None


def test_a_job_waits_for_what_it_needs(queue, add, worker):
    add(tune=[], make=[])
    add(2, make=[], tune=["make"], measure=["tune", "make"])
    order = []
    while lease := queue.lease(worker, BOTH):
        order.append(lease.job.name)
        queue.finish(lease, "succeeded")
    assert order == ["r/1/tune", "r/1/make", "r/2/make", "r/2/tune", "r/2/measure"]


@pytest.mark.parametrize(("state", "said"), [("failed", "failed"), ("cancelled", "was cancelled")])
def test_jobs_that_need_one_which_ended_badly_are_cancelled_with_the_reason(queue, add, worker, state, said):
    add(make=[], tune=["make"], measure=["tune"], other=[])
    queue.finish(queue.lease(worker, BOTH), state)
    assert states(queue) == {"make": state, "tune": "cancelled", "measure": "cancelled", "other": "queued"}
    reasons = {job.step: job.reason for job in queue.jobs()}
    assert reasons["tune"] == f"it needs r/1/make, which {said}"
    assert reasons["measure"] == "it needs r/1/tune, which was cancelled"


def test_a_job_is_leased_only_for_a_slot_that_is_free(queue, add, worker):
    add(tune=[], slot="gpu")
    assert queue.lease(worker, ("cpu",)) is None
    assert queue.lease(worker, ()) is None
    assert queue.lease(worker, ("gpu",)).job.step == "tune"


def test_jobs_run_by_priority_then_position_then_age(queue, add, worker):
    first, second = add(a=[])["a"], add(b=[])["b"]
    third, urgent = add(c=[])["c"], add(d=[], priority=5)["d"]
    queue.move(third.id, before=second.id)
    assert [job.id for job in queue.jobs()] == [urgent.id, first.id, third.id, second.id]
    queue.move(urgent.id)
    queue.prioritise(second.id, 1)
    assert [job.id for job in queue.jobs()] == [second.id, first.id, third.id, urgent.id]
    assert [queue.lease(worker, BOTH).id for _ in range(4)] == [second.id, first.id, third.id, urgent.id]


def test_a_job_can_be_moved_between_two_others_forever(queue, add):
    first, second, third = (add(a=[])["a"].id for _ in range(3))
    for _ in range(60):  # more often than a float can be halved
        queue.move(third, before=second)
        assert [job.id for job in queue.jobs()] == [first, third, second]
        queue.move(second, before=third)
        assert [job.id for job in queue.jobs()] == [first, second, third]


def test_a_running_job_is_requested_to_stop_and_its_worker_ends_it(queue, add, worker):
    jobs = add(tune=[], measure=["tune"])
    lease = queue.lease(worker, BOTH)
    assert queue.cancel([jobs["tune"].id])[0].state == "running"
    assert queue.renew(lease) == "stop"
    queue.cancel([jobs["tune"].id], at_once=True)
    assert queue.renew(lease) == "kill"
    queue.cancel([jobs["tune"].id])
    assert queue.renew(lease) == "kill"
    queue.finish(lease, "cancelled", reason="stopped")
    assert states(queue) == {"tune": "cancelled", "measure": "cancelled"}


def test_a_queued_job_is_cancelled_at_once_and_all_or_none_are(queue, add):
    jobs = add(tune=[], measure=["tune"], other=[])
    with pytest.raises(AskError, match="no job 999"):
        queue.cancel([jobs["tune"].id, 999])
    assert set(states(queue).values()) == {"queued"}
    queue.cancel([jobs["tune"].id])
    assert states(queue) == {"tune": "cancelled", "measure": "cancelled", "other": "queued"}


def test_a_run_is_resumed_with_all_its_attempts(queue, add, worker):
    add(make=[], tune=["make"], measure=["tune"])
    queue.finish(queue.lease(worker, BOTH), "succeeded")
    queue.finish(queue.lease(worker, BOTH), "failed", RunError("run.failed", "it broke", "see the log"), "it broke")
    assert queue.jobs(state="failed")[0].error["code"] == "run.failed"
    resumed = queue.resume("r/1")
    assert [(job.step, job.state, job.attempts, job.error, job.started) for job in resumed] == [
        ("tune", "queued", 0, None, None),
        ("measure", "queued", 0, None, None),
    ]
    assert queue.lease(worker, BOTH).job.step == "tune"
    with pytest.raises(AskError, match="r/7 has no jobs"):
        queue.resume("r/7")


def test_a_number_that_no_job_can_have_is_of_no_job(queue, add):
    for number in (1 << 63, -(1 << 70), 10**30):
        for act in (queue.job, queue.move, lambda number: queue.cancel([number])):
            with pytest.raises(AskError, match=f"no job {number}"):
                act(number)
    with pytest.raises(AskError, match="priority"):
        queue.prioritise(add(a=[])["a"].id, 10**23)


def test_a_released_job_waits_and_counts_only_if_told(queue, add, worker, monkeypatch):
    add(tune=[], max_attempts=2)
    lease = queue.lease(worker, BOTH)
    queue.release(lease, "the worker stops", counts=False)
    lease = queue.lease(worker, BOTH)
    assert lease.job.attempts == 1
    assert queue.release(lease, "it broke", after=3600).started is None
    assert queue.lease(worker, BOTH) is None
    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)
    lease = queue.lease(worker, BOTH)
    assert (lease.job.attempts, lease.job.may_retry) == (2, False)
    with pytest.raises(RunError, match="last attempt, 2 of 2"):
        queue.release(lease, "it broke again")
    assert queue.release(lease, "the worker stops", counts=False).attempts == 1


def test_a_job_that_is_to_stop_is_cancelled_when_it_is_released(queue, add, worker):
    jobs = add(tune=[], measure=["tune"])
    lease = queue.lease(worker, BOTH)
    queue.cancel([jobs["tune"].id])
    assert queue.release(lease, "the worker stops").state == "cancelled"
    assert states(queue) == {"tune": "cancelled", "measure": "cancelled"}


def test_an_end_whose_answer_was_lost_may_be_reported_again_but_no_other_end(queue, add, worker):
    add(tune=[])
    lease = queue.lease(worker, BOTH)
    done = queue.finish(lease, "succeeded")
    assert queue.finish(lease, "succeeded") == done
    for refused in (
        lambda: queue.finish(lease, "failed"),
        lambda: queue.release(lease, "again"),
        lambda: queue.renew(lease),
    ):
        with pytest.raises(RunError, match="no longer held") as error:
            refused()
        assert error.value.code == "run.fenced"


def test_unknown_and_doubled_steps_are_refused_and_nothing_is_added(queue, add):
    for new, said in (
        ([NewJob("r", 1, "a", "quick"), NewJob("r", 1, "b", "quick", needs=["c"])], "needs step 'c'"),
        ([NewJob("r", 1, "a", "quick"), NewJob("r", 1, "a", "quick")], "has a job"),
        ([NewJob("r", 1, "a", "quick", needs_jobs=[7])], "no job 7"),
    ):
        with pytest.raises(AskError, match=said):
            queue.add(new)
    assert queue.jobs() == []


def test_a_job_may_need_jobs_of_other_runs(queue, add, worker):
    made = add(make=[])["make"]
    [tune] = queue.add([NewJob("other", 1, "tune", "quick", needs_jobs=[made.id, made.id], priority=9)])
    assert tune.needs == (made.id,)
    assert queue.lease(worker, BOTH).id == made.id
    assert queue.lease(worker, BOTH) is None


def test_changes_are_given_in_order_and_none_is_lost(queue, add, worker):
    add(make=[], tune=["make"], measure=["tune"])
    seen, after = {}, 0

    def follow():
        nonlocal after
        while some := queue.changes(after, limit=1):
            after = some[-1].revision
            seen[some[0].step] = some[0].state

    follow()
    assert seen == {"make": "queued", "tune": "queued", "measure": "queued"}
    lease = queue.lease(worker, BOTH)
    queue.renew(lease)
    follow()
    queue.finish(lease, "failed")
    follow()
    assert seen == states(queue)
    assert after == queue.revision()


def test_changes_after_a_revision_of_another_database_are_all(queue, add):
    add(make=[], tune=[])
    assert len(queue.changes(10_000)) == 2


def test_workers_are_listed_until_they_leave(queue, worker):
    [listed] = queue.workers()
    assert listed == worker
    assert not listed.has_ended
    queue.leave(worker)
    assert queue.workers() == []


def test_a_worker_that_was_not_seen_for_long_is_silent(queue):
    worker = queue.register_worker({"cpu": 1})
    assert not worker.is_silent
    assert replace(worker, seen=worker.seen - SILENT_SECONDS - 1).is_silent
