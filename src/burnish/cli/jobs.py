"""The commands of the queue: `submit`, `jobs list | show | cancel | resume | move`, and `worker`."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.command import Command, Commands, Most
from burnish.cli.recipes import Files, Force, From, On, Only, Set
from burnish.cli.render import Output, duration, plain
from burnish.core.errors import AskError

if TYPE_CHECKING:
    from burnish.jobs.queue.job import Job, Worker

JobId = Annotated[int, typer.Argument(help="The number of the job, as `jobs list` shows it.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--database", help="A PostgreSQL or SQLite URL. Default: the workspace's own.", envvar="BURNISH_DATABASE"
    ),
]
app = typer.Typer(cls=Commands, help="List, cancel, resume and reorder the jobs of the queue.", no_args_is_help=True)


def submit(
    ctx: typer.Context,
    files: Files,
    set: Set = None,
    start: From = None,
    force: Force = None,
    only: Only = None,
    priority: Annotated[int, typer.Option(help="Steps of a higher priority start first.")] = 0,
    retries: Annotated[int, typer.Option(min=0, help="Retries after an error that may pass.")] = 2,
    time_limit: Annotated[float | None, typer.Option(min=1, help="Seconds that a step may run.")] = None,
    on: On = None,
    database: Url = None,
) -> None:
    """Queue the steps of a recipe for `burnish worker`."""
    from burnish.core.runs.submitted import Options
    from burnish.studio.queueing.submitting import submit as queue

    output: Output = ctx.obj
    found = queue(
        files,
        settings=set or (),
        workspace=output.workspace,
        start=start,
        force=force or (),
        only=only or (),
        options=Options(priority=priority, retries=retries, time_limit=time_limit, on=on),
        database=database,
    )
    if output.json:
        return output.print_json(found.as_dict())
    for note in found.notes:
        output.console.print(plain(note), markup=False)
    if found.jobs:  # else a note says when they are
        output.console.print(f"{found.run}: {len(found.jobs)} steps are queued{_who_runs(output, database)}")
    return None


def _who_runs(output: Output, database: str | None) -> str:
    """How to have jobs run, where nobody would."""
    from burnish.studio.queueing.watching import workers as known

    found = known(workspace=output.workspace, database=database)
    is_served = any(not one.has_ended and not one.is_silent for one in found)
    return "" if is_served else "; start a worker with `burnish worker`"


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    state: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")] = None,
    run: Annotated[str | None, typer.Option(help="Only those of a run, such as demo/3.")] = None,
    most: Most = None,
    database: Url = None,
) -> None:
    """List the jobs, in the order in which they start."""
    from burnish.studio.queueing.jobs import jobs

    output: Output = ctx.obj
    found = jobs(state=state, run=run, workspace=output.workspace, database=database)
    shown = output.first(found, most)
    if output.json:
        return output.print_json([job.as_dict() for job in shown])
    if not found:
        output.console.print("the queue is empty; submit a recipe: burnish submit demo")
        return None
    _table(output, shown)
    output.say_more(len(found) - len(shown))
    return None


@app.command(cls=Command)
def show(ctx: typer.Context, id: JobId, database: Url = None) -> None:
    """Show all that is known of a job."""
    from burnish.studio.queueing.jobs import job

    output: Output = ctx.obj
    found = job(id, workspace=output.workspace, database=database).as_dict()
    if output.json:
        return output.print_json(found)
    output.table(f"job {id}", ("", ""), [(name, value) for name, value in found.items() if value not in (None, "")])
    return None


@app.command(cls=Command)
def cancel(
    ctx: typer.Context,
    ids: Annotated[list[int], typer.Argument(help="The numbers of the jobs.")],
    database: Url = None,
) -> None:
    """Cancel jobs, and those that need them; one that runs saves its state first.

    A second request kills it.
    """
    from burnish.studio.queueing.jobs import cancel_jobs

    output: Output = ctx.obj
    found = cancel_jobs(ids, workspace=output.workspace, database=database)
    _report(output, found)
    for job in found:
        if job.id in ids and job.state in ("succeeded", "failed"):
            output.warn(f"job {job.id} has ended ({job.state}): there was nothing to cancel")


@app.command(cls=Command)
def resume(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="The run, such as demo/3.")],
    database: Url = None,
) -> None:
    """Queue the failed and cancelled jobs of a run again.

    Steps resume from their last checkpoints.
    """
    from burnish.studio.queueing.jobs import resume_run

    output: Output = ctx.obj
    _report(output, resume_run(run, workspace=output.workspace, database=database))


@app.command(cls=Command)
def move(
    ctx: typer.Context,
    id: JobId,
    before: Annotated[int | None, typer.Option(help="The job that it is moved before. Default: behind all.")] = None,
    priority: Annotated[int | None, typer.Option(help="Its new priority instead.")] = None,
    database: Url = None,
) -> None:
    """Change the place of a waiting job in the queue."""
    from burnish.studio.queueing import jobs

    output: Output = ctx.obj
    if priority is not None and before is not None:
        raise AskError("ask.wrong-value", "--before and --priority exclude each other", "give one of them")
    if priority is not None:
        found = jobs.prioritise_job(id, priority, workspace=output.workspace, database=database)
    else:
        found = jobs.move_job(id, before=before, workspace=output.workspace, database=database)
    _report(output, [found])


@app.command(cls=Command)
def workers(ctx: typer.Context, database: Url = None) -> None:
    """List the workers of the queue that have not left."""
    from burnish.studio.queueing.watching import workers as known

    output: Output = ctx.obj
    found = known(workspace=output.workspace, database=database)
    if output.json:
        names = ("id", "slots", "version", "joined", "seen", "has_ended")
        return output.print_json([{name: getattr(one, name) for name in names} for one in found])
    if not found:
        output.console.print("there is no worker; start one: burnish worker")
        return None
    rows = [(one.id, one.slots, one.version, _state_of(one)) for one in found]
    output.table("", ("worker", "slots", "version", "state"), rows)
    return None


def _state_of(one: "Worker") -> str:
    if one.has_ended:
        return "has ended"
    return f"silent for {duration(time.time() - one.seen)}" if one.is_silent else "lives"


def worker(
    ctx: typer.Context,
    slots: Annotated[int | None, typer.Option(min=1, help="Jobs at a time. Default: one for each four cores.")] = None,
    gpus: Annotated[int, typer.Option(min=0, help="Jobs at a time that may use a GPU, beside those.")] = 0,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when no job is left.")] = False,
    database: Url = None,
) -> None:
    """Run the jobs of the queue.

    Workers may run on several machines that share the workspace. Ctrl-C saves the state of what runs and gives it back
    to the queue; a second one kills it.
    """
    from burnish.studio.queueing.jobs import work

    output: Output = ctx.obj
    work(
        slots=slots,
        gpus=gpus,
        until_idle=until_idle,
        workspace=output.workspace,
        database=database,
        say=lambda text: output.console.print(f"{time.strftime('%H:%M:%S')} {plain(text)}", markup=False),
    )


def _report(output: Output, found: "list[Job]") -> None:
    if output.json:
        output.print_json([job.as_dict() for job in found])
    else:
        _table(output, found)


def _table(output: Output, found: "Sequence[Job]") -> None:
    output.table("", ("job", "step", "stage", "state", "priority", "took", "why"), [_row(job) for job in found])


def _row(job: "Job") -> tuple[Any, ...]:
    took = None if job.started is None else (job.ended or time.time()) - job.started
    state = "requested to stop" if job.requested and job.state == "running" else job.state
    return job.id, f"{job.run}/{job.step}", job.stage, state, job.priority, duration(took), job.reason[:80]


def register(main: typer.Typer) -> None:
    main.command(cls=Command)(submit)
    main.add_typer(app, name="jobs")
    main.command(cls=Command)(worker)
