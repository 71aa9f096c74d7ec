"""Fine-tune, evaluate and export language models, from raw data, with checks at each step.

    import burnish

    result = burnish.run("recipe.yaml", settings=["tune.learning_rate=1e-4"])
    result["tune"].metrics, result["tune"].path
    burnish.run_stage("sft", base="builtin:pocket", data="file:rows.jsonl", max_steps=20)

    burnish.registry.register("my-recipe.tune@latest", name="support")

Exports the functions of `burnish.studio` and the error that they raise (with `.code`, `.what` and `.fix`). They are
imported on first use, and none imports torch in this process.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from burnish.core import version

__version__ = version.VERSION

_VERBS = {
    "BurnishError": "burnish.core.errors",
    "plan": "burnish.studio.planning",
    "prove": "burnish.studio.proving",
    "run": "burnish.studio.running",
    "run_stage": "burnish.studio.running",
    "runs": "burnish.studio.runs",
    "show": "burnish.studio.runs",
    "tail": "burnish.studio.runs",
    "diff": "burnish.studio.runs",
    "stop": "burnish.studio.runs",
    "resume": "burnish.studio.runs",
    "schema": "burnish.studio.schema",
    "rollouts": "burnish.studio.rollouts",
    "rows": "burnish.studio.rows",
    "replay": "burnish.studio.replay",
    "inspect": "burnish.studio.exploration",
    "chat": "burnish.studio.exploration",
    "smoke_test": "burnish.studio.exploration",
    "env": "burnish.studio.machine",
    "doctor": "burnish.studio.machine",
    "settings": "burnish.studio.settings.changes",
    "change_settings": "burnish.studio.settings.changes",
}

_GROUPS = ("registry", "containers")

if TYPE_CHECKING:
    from burnish.core.errors import BurnishError
    from burnish.studio import containers, registry
    from burnish.studio.exploration import chat, inspect, smoke_test
    from burnish.studio.machine import doctor, env
    from burnish.studio.planning import plan
    from burnish.studio.proving import prove
    from burnish.studio.replay import replay
    from burnish.studio.rollouts import rollouts
    from burnish.studio.rows import rows
    from burnish.studio.running import run, run_stage
    from burnish.studio.runs import diff, resume, runs, show, stop, tail
    from burnish.studio.schema import schema
    from burnish.studio.settings.changes import change_settings, settings

__all__ = [
    "BurnishError",
    "__version__",
    "change_settings",
    "chat",
    "containers",
    "diff",
    "doctor",
    "env",
    "inspect",
    "plan",
    "prove",
    "registry",
    "replay",
    "resume",
    "rollouts",
    "rows",
    "run",
    "run_stage",
    "runs",
    "schema",
    "settings",
    "show",
    "smoke_test",
    "stop",
    "tail",
]


def __getattr__(name: str) -> Any:
    if name in _GROUPS:
        return import_module(f"burnish.studio.{name}")
    if name in _VERBS:
        return getattr(import_module(_VERBS[name]), name)
    raise AttributeError(f"module 'burnish' has no attribute '{name}'")
