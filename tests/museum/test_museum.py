"""Every exhibit is caught, and nothing is found where there is no fault."""

import pytest

from burnish.core.errors import CODES, BurnishError
from museum import kernels, models, preferences, rollouts, rows
from museum.exhibit import FALLS_BACK

ROOMS = (rows, kernels, models, preferences, rollouts)
EXHIBITS = {exhibit.name: exhibit for room in ROOMS for exhibit in room.EXHIBITS}


def unexpected(proof):
    return [f"{check['name']}: {check['found']}" for check in proof["checks"] if check["verdict"] == "does not hold"]


def fallbacks(proof):
    """What the training gave up: packing, the chunked head, or fused adapters."""
    texts = [getattr(event, "text", "") or getattr(event, "reason", "") for event in proof["events"]]
    return [text for text in texts if "one sequence at a time" in text or "own forward" in text or "by PEFT" in text]


@pytest.mark.parametrize("name", EXHIBITS)
def test_a_fault_of_the_museum_is_caught(name, prove_stage, monkeypatch):
    exhibit = EXHIBITS[name]
    given = exhibit.stage, exhibit.family, exhibit.config, exhibit.settings
    exhibit.inject(monkeypatch)
    if exhibit.caught_by in CODES:
        with pytest.raises(BurnishError) as caught:
            prove_stage(*given)
        assert caught.value.code == exhibit.caught_by
        return
    proof = prove_stage(*given)
    if exhibit.caught_by == FALLS_BACK:
        assert fallbacks(proof)
        assert not unexpected(proof)
    else:
        assert proof["by_name"][exhibit.caught_by]["verdict"] == "does not hold", unexpected(proof)


STANDS = sorted(
    {
        (e.stage, e.family, str(sorted(e.config.items())), str(sorted(e.settings.items()))): e
        for e in EXHIBITS.values()
    }.items()
)


@pytest.mark.some(every=2)
@pytest.mark.parametrize("exhibit", [exhibit for _, exhibit in STANDS], ids=lambda exhibit: exhibit.name)
def test_the_same_training_without_its_fault_has_none(exhibit, prove_stage):
    proof = prove_stage(exhibit.stage, exhibit.family, exhibit.config, exhibit.settings)
    assert not unexpected(proof)
    assert not fallbacks(proof)
