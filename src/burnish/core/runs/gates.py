"""The gate of a comparison: an artifact whose gate failed ends the command, also when it is reused."""

from burnish.core.errors import GateError
from burnish.core.runs.artifact import Artifact


def refuse_failed_gate(step: str, artifact: Artifact) -> None:
    """Raise GateError `run.gate-failed` with the rules that failed, if the artifact's measures say so."""
    if artifact.measures.get("gate") != "failed":
        return
    rules = [str(rule) for rule in artifact.measures.get("gate_failed", ())]
    listed = "".join(f"\n- {rule}" for rule in rules)
    what = f"the gate of step '{step}' failed: {len(rules)} rule{'' if len(rules) == 1 else 's'}{listed}"
    raise GateError("run.gate-failed", what, f"the results are in {artifact.path}; `report.md` shows the rows")
