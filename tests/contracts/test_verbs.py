"""Each verb of the studio is on the command line and in the HTTP API, unless a reason is stated; and in a guide."""

import ast
import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import burnish.studio

SOURCES = Path(burnish.studio.__file__).parents[1]


def verbs():
    """The public functions of the studio that work on a workspace: `module.name`, without `burnish.studio`."""
    for found in pkgutil.walk_packages(burnish.studio.__path__, "burnish.studio."):
        module = importlib.import_module(found.name)
        for name, verb in vars(module).items():
            is_own = inspect.isfunction(verb) and verb.__module__ == found.name and not name.startswith("_")
            if is_own and "workspace" in inspect.signature(verb).parameters:
                yield path_of(verb)


def path_of(verb):
    return f"{verb.__module__}.{verb.__qualname__}".removeprefix("burnish.studio.")


@cache
def used_in(room):
    """What the files of a room refer to of the studio: imported names, and attributes of imported modules."""
    used = set()
    for path in (SOURCES / room).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("burnish.studio"):
                for alias in node.names:
                    meant = imported(node.module, alias.name)
                    if isinstance(meant, ModuleType):
                        modules[alias.asname or alias.name] = meant
                    elif inspect.isfunction(meant):
                        used.add(path_of(meant))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                meant = getattr(modules[node.value.id], node.attr, None)
                if inspect.isfunction(meant):
                    used.add(path_of(meant))
    return used


def imported(module, name):
    found = importlib.import_module(module)
    return getattr(found, name) if hasattr(found, name) else importlib.import_module(f"{module}.{name}")


PIECES = {
    "containers.project.in_container",
    "containers.served.newest_promoted",
    "datasets.uploading.record_of",
    "exploration.resolve_model",
    "finetuning.files.file_record",
    "playground.references.placed",
    "queueing.ends.record_end",
    "queueing.jobs.cancel_run",
    "queueing.opening.kept_open",
    "queueing.opening.opened",
    "queueing.plans.submitted_plan",
    "recipes.shelf.recipe_file",
    "running.execute",
    "serving.logins.announced",
    "serving.logins.folder_of",
    "serving.logins.logins",
    "serving.logins.redirect_to",
    "serving.logins.server_address",
    "serving.logins.sessions",
    "serving.logins.tokens_file",
    "settings.environment.load_env_file_of",
    "views.files.step_of",
}
"""Of other verbs: they mean nothing to a person by themselves."""
OPENAI = "the shapes of OpenAI's clients; a recipe of two steps is `burnish run`"
FILES = "the file itself is in the run's folder, which `burnish runs show` names"
HOST = "of the machine and its user: Docker, the terminal, the folders of the workspace"
NOT_ON_THE_COMMAND_LINE = {
    **dict.fromkeys(("finetuning.checkpoints.list_checkpoints", "finetuning.events.list_events"), OPENAI),
    **{f"finetuning.files.{verb}": OPENAI for verb in ("delete_file", "file_path", "get_file", "list_files")},
    **{f"finetuning.jobs.{verb}_job": OPENAI for verb in ("cancel", "create", "get", "pause", "resume")},
    "evaluations.items.answers": FILES,
    "evaluations.items.items": FILES,
    "evaluations.pairs.difference": "the stage compare is a command: `burnish compare`",
    "evaluations.pairs.pairs": "which steps the page offers beside each other; `burnish compare` is told them",
    "evaluations.scores.evaluation": "as runs.show",
    "finetuning.events.follow_events": OPENAI,
    "finetuning.jobs.list_jobs": OPENAI,
    "listing.pages.runs_page": "as runs.runs",
    "listing.pages.steps_page": "as runs.runs",
    "playground.votes.record_vote": "a click on one of several answers beside each other",
    "playground.votes.tally": "counts of the clicks; the rows themselves are in a file that the page names",
    "queueing.submitting.submit_stage": "as queueing.submitting.submit",
    "queueing.watching.changed_jobs": "as queueing.jobs.jobs",
    "queueing.watching.counts": "as queueing.jobs.jobs",
    "queueing.watching.revision": "as queueing.jobs.jobs",
    "recipes.forecasting.forecast_given": "the memory and disk of a form while it is filled in",
    "recipes.merging.preview_merge": "the numbers of a form while it is filled in; `burnish combine` prints its own",
    "recipes.planned.plan_given": "as planning.plan",
    "recipes.shelf.list_recipes": "a recipe is a file, or a name that TAB completes",
    "recipes.shelf.show_recipe": "as planning.plan",
    "recipes.submitted.resume_in_queue": "as queueing.jobs.resume_run",
    "recipes.submitted.submit_given": "as queueing.submitting.submit",
    "running.run_stage": "each stage is a command: `burnish sft`",
    "serving.served.served_models": "the terminal that serves a model shows it",
    "serving.checking.doctor_apart": "as machine.doctor",
    "views.archives.archive": FILES,
    "views.artifacts.artifact": "as runs.show",
    "views.artifacts.artifacts": "as runs.runs",
    "views.artifacts.certificates": "as runs.show",
    "views.curves.curves": "as runs.tail",
    "views.detail.run_detail": "as runs.show",
    "views.files.file_of": FILES,
    "views.files.list_files": FILES,
    "views.files.proof_of": "as runs.show",
    "views.files.sample_of": FILES,
    "views.logs.log": FILES,
    "views.logs.log_text": FILES,
    "views.logs.search": FILES,
}
NOT_IN_THE_API = {
    **{f"containers.verbs.{verb}": HOST for verb in ("bash", "down", "logs", "up")},
    "datasets.uploading.upload": "a body is written as it arrives, by `Upload`",
    "demo.serving.serve_and_ask": "the last act of `burnish demo` in a terminal",
    "exploration.chat": "a terminal that asks and answers; POST /generate is the same for programs",
    "exploration.inspect": "as datasets.reading.preview",
    "machine.doctor": "as serving.checking.doctor_apart",
    "planning.plan": "as recipes.planned.plan_given",
    "proving.prove": "trains for minutes with the caller; what a training proved is in views.files.proof_of",
    "queueing.jobs.work": HOST,
    "queueing.reindexing.reindex_runs": HOST,
    "queueing.submitting.submit": "as recipes.submitted.submit_given",
    "queueing.submitting.submit_stage": "as recipes.submitted.submit_given",
    "registry.collection.gc": "removes folders of others for good: by a person on the machine alone",
    "registry.transfer.export": HOST,
    "registry.transfer.import_": HOST,
    "registry.upkeep.reindex": HOST,
    "replay.replay": "trains some rows again for minutes with the caller",
    "running.run": "as recipes.submitted.submit_given",
    "running.run_stage": "as recipes.submitted.submit_given",
    "runs.resume": "as recipes.submitted.resume_in_queue",
    "runs.runs": "as listing.pages.steps_page",
    "runs.show": "as views.detail.run_detail",
    "runs.tail": "the events of a run are a stream: GET /runs/{recipe}/{number}/events",
    **{f"serving.keys.{verb}": "keys of `burnish serve`, which has its own file" for verb in ("add_key", "list_keys")},
    "serving.keys.remove_key": "keys of `burnish serve`, which has its own file",
}
ROOMS = {"cli": NOT_ON_THE_COMMAND_LINE, "server": NOT_IN_THE_API}


@pytest.mark.parametrize("room", ROOMS)
def test_every_verb_is_there_or_has_a_reason(room):
    lacking = set(verbs()) - used_in(room) - PIECES
    assert lacking == ROOMS[room].keys()
    for verb, reason in ROOMS[room].items():
        if reason.startswith("as "):
            assert reason.removeprefix("as ") in used_in(room), verb


def test_every_piece_is_a_verb_that_neither_shows():
    assert set(verbs()) >= PIECES
    assert not PIECES & used_in("cli") & used_in("server")


GUIDES = SOURCES.parents[1] / "docs"
COMMANDS = (GUIDES / "reference" / "commands.md").read_text(encoding="utf-8")
ROUTES = (GUIDES / "reference" / "api.md").read_text(encoding="utf-8")


def test_every_command_and_route_is_in_the_reference():
    import typer
    from fastapi.routing import iter_route_contexts

    from burnish.cli.main import app
    from burnish.server.app import make_app
    from burnish.server.routing import GuardedRoute
    from burnish.server.settings import Settings

    def commands(group, before):
        for name, command in group.commands.items():
            yield f"{before} {name}"
            if hasattr(command, "commands"):
                yield from commands(command, f"{before} {name}")

    for command in commands(typer.main.get_command(app), "burnish"):
        assert command in COMMANDS
    for found in iter_route_contexts(make_app(Settings(Path("/nonexistent"))).routes):
        if isinstance(found.original_route, GuardedRoute):
            assert found.path.removeprefix("/api/v1").replace(":path}", "}") in ROUTES
