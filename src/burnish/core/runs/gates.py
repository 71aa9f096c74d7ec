"""Artifacts that end the command, also when they are reused: a gate that failed, a certificate that does not hold."""

from burnish.core.errors import GateError
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.certificates import certificate_failed


def refuse_failed(step: str, artifact: Artifact) -> None:
    """Errors: RunError `run.certificate-failed` with the checks, GateError `run.gate-failed` with the rules."""
    if artifact.certificate is not None and not artifact.certificate["holds"]:
        child = artifact.certificate["child"]["ref"] or artifact.run
        raise certificate_failed(child, artifact.certificate, str(artifact.path))
    if artifact.measures.get("gate") != "failed":
        return
    rules = [str(rule) for rule in artifact.measures.get("gate_failed", ())]
    listed = "".join(f"\n- {rule}" for rule in rules)
    what = f"the gate of step '{step}' failed: {len(rules)} rule{'' if len(rules) == 1 else 's'}{listed}"
    raise GateError("run.gate-failed", what, f"the results are in {artifact.path}; `report.md` shows the rows")
