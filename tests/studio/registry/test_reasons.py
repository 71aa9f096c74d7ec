"""Who changes the registry, why, and which version: nothing is guessed, and text stays in its line."""

import pytest

import artifacts
import burnish

CHANGES = {
    "promote": ({},),
    "demote": ({},),
    "tag": ("next", {}),
    "untag": ("next", {}),
    "remove": ({},),
}


@pytest.fixture
def support(registry, workspace):
    artifacts.write_artifact(workspace)
    registry.register("r.tune@1", name="support", because=" first\n", who=" ")
    return workspace


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0\u2003"])
def test_white_space_is_no_reason_and_no_author(registry, support, blank):
    with pytest.raises(burnish.BurnishError) as caught:
        registry.promote("support@1", because=blank)
    assert caught.value.code == "run.no-evidence"
    registry.promote("support@1", to="production", because="asked for", who=blank)
    assert registry.show("support@1")["history"][-1]["who"] == "w"
    with pytest.raises(burnish.BurnishError) as caught:
        registry.remove("support@1", because=blank)
    assert caught.value.code == "run.in-production"
    assert registry.show("support@1")["history"][0]["why"] == "first"


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_needs_a_version(registry, support, change):
    with pytest.raises(burnish.BurnishError) as caught:
        getattr(registry, change)("support", *CHANGES[change][:-1])
    assert caught.value.code == "ask.missing-key"
    assert "support@1 (candidate)" in caught.value.fix
    assert registry.show("support@1")["stage"] == "candidate"


@pytest.mark.parametrize("given", [{"because": "x" * 2_001}, {"who": "x" * 201}], ids=["because", "who"])
def test_what_is_too_long_is_refused(registry, support, given):
    for change in (registry.demote, registry.remove):
        with pytest.raises(burnish.BurnishError) as caught:
            change("support@1", **given)
        assert caught.value.code == "ask.wrong-value"
    with pytest.raises(burnish.BurnishError, match="at most"):
        registry.register("r.tune@1", name="other", **given)
    assert registry.demote("support@1", because="x" * 2_000)["stage"] == "retired"
