"""Promotions and demotions, what they need, and what they leave."""

import itertools
import re

import pytest

import artifacts
import burnish
from burnish.core.context import Input
from burnish.core.inputs.references import resolve

STAGES = ("retired", "candidate", "staging", "production")


@pytest.fixture
def support(registry, workspace):
    """Two versions of `support`, without any evidence."""
    for number in (1, 2):
        files = {**artifacts.ADAPTER, "adapter_model.safetensors": f"weights {number}"}
        artifacts.write_artifact(workspace, number=number, fingerprint=f"f{number}", files=files)
        registry.register(f"r.tune@{number}", name="support")
    return workspace


def stages(registry):
    return {row["ref"]: row["stage"] for row in registry.listing("support") if "removed" not in row}


def test_a_promotion_needs_a_certificate_or_proof_and_a_verdict(registry, support):
    with pytest.raises(burnish.BurnishError) as caught:
        registry.promote("support@1")
    assert caught.value.code == "run.no-evidence"
    assert "no certificate or proof" in caught.value.what
    assert "no verdict" in caught.value.what
    assert stages(registry)["support@1"] == "candidate"
    artifacts.evaluation(support, of="f1")
    with pytest.raises(burnish.BurnishError) as caught:
        registry.promote("support@1")
    assert "verdict" not in caught.value.what
    (run,) = support.find_runs("r/1")
    artifacts.certified(support, of="f1")
    assert registry.promote("support@1")["stage"] == "staging"
    assert registry.promote("support@1")["stage"] == "production"
    last = registry.show("support@1")["history"][-1]
    assert [one["kind"] for one in last["evidence"]] == ["certificate", "verdict"]
    assert last["against"] == []
    assert run.out.is_dir()


EVIDENCE = {
    "a certificate and a verdict": ({"certificate": True}, "better", ""),
    "a certificate that does not hold": ({"certificate": False}, "better", "certificate"),
    "a proof and a verdict": ({"proof": 0}, "better", ""),
    "a proof with a failed check": ({"proof": 1}, "better", "proof"),
    "a proof with an error": ({"proof": {"errors": 1}}, "better", "proof"),
    "a proof of nothing": ({"proof": {"held": 0}}, "better", "proof"),
    "a proof beside a certificate that does not hold": ({"proof": 0, "certificate": False}, "better", "certificate"),
    "a verdict worse": ({"proof": 0}, "worse", "verdict"),
    "a verdict not worse": ({"proof": 0}, "not worse", ""),
    "a verdict without enough evidence": ({"proof": 0}, "not enough evidence", "is undecided"),
    "too few rows": ({"proof": 0}, "too few rows", "is undecided"),
    "a gate that passed": ({"proof": 0}, True, ""),
    "a gate that failed": ({"proof": 0}, False, "gate failed"),
    "no verdict": ({"proof": 0}, None, "no verdict"),
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_decides(registry, workspace, name):
    own, verdict, against = EVIDENCE[name]
    files = dict(artifacts.ADAPTER)
    if "proof" in own:
        changed = own["proof"] if isinstance(own["proof"], dict) else {"failed": own["proof"]}
        files["proof.json"] = {**artifacts.PROOF, **changed}
    certificate = artifacts.certificate("", holds=own["certificate"]) if "certificate" in own else None
    artifacts.write_artifact(workspace, files=files, certificate=certificate)
    if isinstance(verdict, bool):
        artifacts.comparison(workspace, gate=verdict, verdict="worse")
    elif verdict is not None:
        artifacts.evaluation(workspace, verdict)
    registry.register("r.tune@1", name="support")
    if not against:
        assert registry.promote("support@1", to="production")["stage"] == "production"
        return
    with pytest.raises(burnish.BurnishError) as caught:
        registry.promote("support@1", to="production")
    assert against in caught.value.what
    assert registry.promote("support@1", to="production", because="known")["stage"] == "production"
    last = registry.show("support@1")["history"][-1]
    assert (last["why"], len(last["against"])) == ("known", 1)


def other_files(workspace, number, **options):
    """The artifact of the same recipe with other weights."""
    files = {**artifacts.ADAPTER, "adapter_model.safetensors": f"weights {number}", "proof.json": artifacts.PROOF}
    return artifacts.write_artifact(workspace, number=number, files=files, **options)


JUDGED = {
    "an evaluation": lambda workspace: artifacts.evaluation(workspace),
    "a comparison": lambda workspace: artifacts.comparison(workspace),
    "a comparison of evaluations": lambda workspace: artifacts.comparison(
        workspace, inputs={"candidates.tuned.ref": artifacts.evaluation(workspace).artifact().as_input("e.evaluate@1")}
    ),
    "a certificate": lambda workspace: artifacts.certified(workspace),
}


@pytest.mark.parametrize("name", JUDGED)
def test_evidence_on_other_files_of_the_same_recipe_counts_for_nothing(registry, workspace, name):
    other_files(workspace, 1)
    run = JUDGED[name](workspace)
    other_files(workspace, 2)
    for number, name in ((1, "judged"), (2, "again")):
        registry.register(f"r.tune@{number}", name=name)
    assert run.name in {one["run"] for one in registry.show("judged")["evidence"]}
    shown = registry.show("again")
    assert {one["run"] for one in shown["evidence"]} == {"r/2/tune"}
    assert f"{run.name} is on other files with the same fingerprint, and is not counted" in shown["left_out"][0]
    with pytest.raises(burnish.BurnishError, match="no verdict"):
        registry.promote("again@latest", to="production")


@pytest.mark.parametrize("name", JUDGED)
def test_evidence_of_an_older_version_without_digests_is_on_the_run_that_it_names(registry, workspace, name):
    run = other_files(workspace, 1)
    judged = JUDGED[name](workspace)
    other_files(workspace, 2)
    for one in (judged.folder / "artifact.json", *workspace.runs.glob("e/*/*/artifact.json")):
        one.write_text(re.sub(r'"digest": "[0-9a-f]*",', "", one.read_text()))
    for number, name in ((1, "judged"), (2, "again")):
        registry.register(f"r.tune@{number}", name=name)
    assert judged.name in {one["run"] for one in registry.show("judged")["evidence"]}
    assert {one["run"] for one in registry.show("again")["evidence"]} == {"r/2/tune"}
    assert run.out.is_dir()


def test_evidence_on_a_folder_is_on_its_content(registry, workspace):
    folder = workspace.root / "lora"
    folder.mkdir()
    for file, content in artifacts.ADAPTER.items():
        (folder / file).write_text(content)
    value = resolve("file:lora", ("adapter",), workspace, {})
    artifacts.comparison(workspace, inputs={"candidates.tuned.ref": value})
    registry.register("file:lora", name="support")
    assert [one["kind"] for one in registry.show("support")["evidence"]] == ["verdict"]


def test_every_certificate_must_hold_also_an_older_one(registry, workspace):
    artifacts.write_artifact(workspace)
    artifacts.evaluation(workspace)
    artifacts.certified(workspace, number=1, holds=False)
    artifacts.certified(workspace, number=2)
    registry.register("r.tune@1", name="support")
    with pytest.raises(burnish.BurnishError, match="the certificate in k/1/certify failed"):
        registry.promote("support@latest")


def test_the_newest_verdict_decides(registry, workspace):
    artifacts.write_artifact(workspace, files={**artifacts.ADAPTER, "proof.json": artifacts.PROOF})
    artifacts.evaluation(workspace, "better", number=1)
    artifacts.evaluation(workspace, "worse", number=2)
    registry.register("r.tune@1", name="support")
    with pytest.raises(burnish.BurnishError, match="e/2/evaluate failed"):
        registry.promote("support@latest")
    artifacts.comparison(workspace, verdict="not worse", number=1)
    assert registry.promote("support@latest")["stage"] == "staging"


def test_a_baseline_and_another_model_get_no_evidence(registry, workspace):
    artifacts.write_artifact(workspace, fingerprint="baseline")
    artifacts.evaluation(workspace, of="somebody")
    artifacts.comparison(workspace, of="somebody")
    registry.register("r.tune@1", name="support")
    assert registry.show("support")["evidence"] == []


def test_a_verdict_on_the_answers_of_an_artifact_is_one_on_it(registry, workspace):
    artifacts.write_artifact(workspace)
    answers = artifacts.evaluation(workspace).artifact().as_input("e.evaluate@1")
    other = Input("e.other@1", "evaluation", workspace.root / "z", "o", {"model": Input("x", "model", workspace.root)})
    options = {"kind": "evaluation", "files": {"metrics.json": "{}"}, "measures": {"quality": 0.9}, "recipe": "j"}
    artifacts.write_artifact(workspace, "judge", inputs={"answers": answers, "against": other}, **options)
    artifacts.write_artifact(workspace, "judge", number=2, inputs={"answers": other, "against": answers}, **options)
    inputs = {"candidates.tuned.ref": answers, "candidates.base.ref": other}
    artifacts.comparison(workspace, of="the evaluation", inputs=inputs)
    registry.register("r.tune@1", name="support")
    found = {(one["kind"], one["run"]) for one in registry.show("support")["evidence"]}
    assert found == {
        ("score", "j/1/judge"),
        ("score", "e/1/evaluate"),
        ("verdict", "e/1/evaluate"),
        ("verdict", "c/1/compare"),
    }


def test_the_baseline_of_a_gate_that_passed_has_no_verdict(registry, workspace):
    artifacts.write_artifact(workspace, fingerprint="base model")
    artifacts.comparison(workspace, gate=True)
    registry.register("r.tune@1", name="support")
    assert registry.show("support")["evidence"] == []


def test_a_claim_with_a_margin_does_not_hide_that_a_score_is_worse(registry, workspace):
    artifacts.write_artifact(workspace)
    artifacts.comparison(workspace, verdict="worse", within=0.5)
    registry.register("r.tune@1", name="support")
    [found] = registry.show("support")["evidence"]
    assert found["state"] == "failed"
    assert found["found"] == (
        "tuned: accuracy against base: worse, tuned: accuracy against base with a margin of 0.5: not worse"
    )


def test_a_gate_that_is_about_another_candidate_decides_nothing(registry, workspace):
    artifacts.write_artifact(workspace)
    artifacts.comparison(workspace, gate=True, verdict="worse", about="another")
    registry.register("r.tune@1", name="support")
    [found] = registry.show("support")["evidence"]
    assert (found["kind"], found["state"]) == ("verdict", "failed")


def test_a_comparison_that_cannot_be_read_decides_nothing(registry, workspace):
    artifacts.write_artifact(workspace, files={**artifacts.ADAPTER, "proof.json": artifacts.PROOF})
    artifacts.evaluation(workspace)
    value = artifacts.as_input(workspace)
    options = {"kind": "comparison", "files": {"comparison.json": {"comparisons": [{}]}}, "recipe": "c"}
    artifacts.write_artifact(workspace, "compare", inputs={"candidates.tuned.ref": value}, **options)
    registry.register("r.tune@1", name="support")
    with pytest.raises(burnish.BurnishError, match="the verdict in c/1/compare is undecided"):
        registry.promote("support@latest")


def test_damaged_evidence_is_not_counted_and_named(registry, workspace):
    artifacts.write_artifact(workspace, files={**artifacts.ADAPTER, "proof.json": artifacts.PROOF})
    run = artifacts.evaluation(workspace)
    (run.out / "metrics.json").write_text("{ }")
    registry.register("r.tune@1", name="support")
    shown = registry.show("support")
    assert shown["missing"] == ["there is no verdict"]
    assert "e/1/evaluate is damaged" in shown["left_out"][0]


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STAGES, STAGES)))
def test_every_move_of_the_table(registry, support, before, after):
    ranks = STAGES.index(before), STAGES.index(after)
    if before != "candidate":
        (registry.promote if ranks[0] > 1 else registry.demote)("support@1", to=before, because="x")
    up = ranks[1] > ranks[0]
    for move, fits in ((registry.promote, up), (registry.demote, ranks[1] < ranks[0])):
        if not fits:
            with pytest.raises(burnish.BurnishError) as caught:
                move("support@1", to=after, because="x")
            assert caught.value.code == ("ask.nothing-to-do" if before == after else "ask.wrong-value")
    assert stages(registry)["support@1"] == before
    if before != after:
        (registry.promote if up else registry.demote)("support@1", to=after, because="x")
    assert stages(registry)["support@1"] == after


def test_one_step_at_a_time(registry, support):
    for stage in ("staging", "production"):
        assert registry.promote("support@1", because="x")["stage"] == stage
    with pytest.raises(burnish.BurnishError, match="the highest stage"):
        registry.promote("support@1", because="x")
    for stage in ("staging", "candidate", "retired"):
        assert registry.demote("support@1")["stage"] == stage
    with pytest.raises(burnish.BurnishError, match="the lowest stage"):
        registry.demote("support@1")
    assert registry.promote("support@1")["stage"] == "candidate"  # needs nothing


def test_production_holds_one_version_and_the_former_is_retired(registry, support):
    registry.promote("support@1", to="production", because="x")
    found = registry.promote("support@2", to="production", because="newer")
    assert found["replaced"] == ["support@1"]
    assert stages(registry) == {"support@2": "production", "support@1": "retired"}
    assert registry.show("support@1")["history"][-1]["displaced"] == [1]
    registry.promote("support@1", to="production", because="back")
    assert stages(registry) == {"support@2": "retired", "support@1": "production"}


@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_artifact_is_not_promoted(registry, support, deep):
    import os

    path = support.root / "runs/r/1/tune/out/adapter_model.safetensors"
    status = path.stat()
    path.write_text("weights 7" if deep else "else")
    if deep:  # same size and time
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(burnish.BurnishError) as caught:
        registry.promote("support@1", because="x")
    assert caught.value.code == "run.damaged-artifact"


def test_a_tag_is_of_one_version(registry, support):
    said = []
    registry.tag("support@1", "v1.0")
    registry.tag("support@2", "v1.0", say=said.append)
    assert said == ["support@1 loses the tag v1.0"]
    assert registry.show("support@v1.0")["ref"] == "support@2"
    with pytest.raises(burnish.BurnishError, match="already"):
        registry.tag("support@2", "v1.0")
    with pytest.raises(burnish.BurnishError, match="has no tag"):
        registry.untag("support@1", "v1.0")
    assert registry.untag("support@2", "v1.0")["tags"] == []


@pytest.mark.parametrize("tag", ["latest", "Production", "staging", "7", "", "a b", "ä", "../x", ".x", "x" * 65, "a@b"])
def test_a_tag_with_another_meaning_is_refused(registry, support, tag):
    with pytest.raises(burnish.BurnishError) as caught:
        registry.tag("support@1", tag)
    assert caught.value.code == "ask.wrong-value"


def test_a_removed_version_keeps_its_number_and_its_files(registry, support):
    registry.promote("support@2", to="production", because="x")
    with pytest.raises(burnish.BurnishError) as caught:
        registry.remove("support@2")
    assert caught.value.code == "run.in-production"
    registry.remove("support@2", because="wrong data")
    assert (support.root / "runs/r/2/tune/out").is_dir()
    with pytest.raises(burnish.BurnishError, match=r"was removed by .*: wrong data"):
        registry.show("support@2")
    with pytest.raises(burnish.BurnishError, match="no version of support is production"):
        registry.show("support@production")
    assert registry.register("r.tune@2", name="support")["version"] == 3
    assert registry.show("support@latest")["version"] == 3
    assert [row["ref"] for row in registry.listing()] == ["support@3", "support@1"]


def test_several_versions_in_staging_are_ambiguous(registry, support):
    for number in (1, 2):
        registry.promote(f"support@{number}", because="x")
    with pytest.raises(burnish.BurnishError, match="support@1, support@2 are staging"):
        registry.show("support@staging")


def test_a_secret_is_not_kept_as_a_reason(registry, support):
    with pytest.raises(burnish.BurnishError, match="access token"):
        registry.promote("support@1", because=f"token hf_{'a' * 30}")


def test_who_is_settable(registry, support, monkeypatch):
    monkeypatch.setenv("BURNISH_AUTHOR", "Ada")
    registry.tag("support@1", "a")
    registry.tag("support@1", "b", who="Grace")
    assert [change["who"] for change in registry.show("support@1")["history"][1:]] == ["Ada", "Grace"]
