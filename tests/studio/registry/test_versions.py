"""What is registered, once, and what the record says of it."""

import shutil

import pytest

import artifacts
import burnish
from burnish.core.inputs.references import built_ins, resolve
from burnish.core.registry import entries


def test_an_artifact_is_registered_once_and_other_files_of_its_recipe_are_another_version(registry, workspace):
    artifacts.write_artifact(workspace)
    artifacts.write_artifact(workspace, number=2, files={**artifacts.ADAPTER, "adapter_model.safetensors": "other"})
    said = []
    assert registry.register("r.tune@1", name="support")["new"]
    found = registry.register("r.tune@2", name="support", say=said.append)
    assert (found["version"], found["new"]) == (2, True)
    assert said == ["support@2 has the same fingerprint as support@1, and other files"]
    for number in (1, 2):
        again = registry.register(f"r.tune@{number}", name="support", say=said.append)
        assert (again["version"], again["new"]) == (number, False)
    assert len(said) == 1
    registry.register("r.tune@1", name="support", because="it calls the tool", say=said.append)
    assert said[1:] == ["support@1 is registered already: the reason is not kept"]


def test_a_file_that_cannot_be_written_is_named_and_the_version_stands(registry, workspace, monkeypatch):
    artifacts.write_artifact(workspace)

    def full(path, value):
        raise OSError(28, "No space left on device")

    said = []
    with monkeypatch.context() as disk:
        disk.setattr(entries, "write_json", full)
        assert registry.register("r.tune@1", name="support", say=said.append)["new"]
    [text] = said
    assert "support/1.json cannot be written (No space left on device): support@1 is only in" in text
    assert text.endswith("; burnish reindex writes it again")
    assert registry.listing("support")[0]["ref"] == "support@1"


def test_it_is_registered_again_where_the_first_is_damaged_or_removed(registry, workspace):
    for number in (1, 2):
        artifacts.write_artifact(workspace, number=number)
    registry.register("r.tune@1", name="support")
    (workspace.root / "runs/r/1/tune/out/adapter_config.json").unlink()
    said = []
    assert registry.register("r.tune@2", name="support", say=said.append)["version"] == 2
    assert said == ["the artifact of support@1 is damaged or missing: registered again as support@2"]
    registry.remove("support@2")
    assert registry.register("r.tune@2", name="support")["version"] == 3
    rows = {row["ref"]: row.get("damage") for row in registry.listing("support")}
    assert rows == {"support@3": "", "support@2": None, "support@1": "adapter_config.json is missing"}


def test_a_built_in_model_is_recorded_with_its_hashes_and_licence(registry):
    found = registry.register("builtin:pocket", name="base", because="a start", who="Ada")
    assert (found["kind"], found["who"], found["why"]) == ("model", "Ada", "a start")
    assert len(found["tokenizer"]) == len(found["template"]) == len(found["digest"]) == 64
    assert found["artifact"] == {
        "ref": "builtin:pocket",
        "run": None,
        "path": str(built_ins()["pocket"]),
        "revision": "",
    }
    shown = registry.show("base")
    assert shown["licences"] == [
        {"of": "result", "ref": "builtin:pocket", "licence": "apache-2.0", "stated_in": "README.md"}
    ]
    assert shown["licence"] == ["to be shared with the notice of the licence, because of builtin:pocket (apache-2.0)"]


def test_documentation_of_a_folder_is_no_part_of_it(registry, workspace):
    folder = workspace.root / "lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    registry.register("file:lora", name="support")
    (folder / "README.md").write_text("# new")
    assert registry.show("support")["damage"] == ""
    assert registry.show("support")["path"] == str(folder)
    (folder / "adapter_model.safetensors").write_text("weights")
    assert registry.show("support")["damage"] == "adapter_model.safetensors was added since it was registered"


@pytest.mark.parametrize("kind", ["dataset", "evaluation", "comparison", "certificate"])
def test_other_kinds_are_refused(registry, workspace, kind):
    artifacts.write_artifact(workspace, kind=kind)
    with pytest.raises(burnish.BurnishError) as caught:
        registry.register("r.tune@1", name="support")
    assert caught.value.code == "ask.wrong-kind"
    assert registry.listing() == []


def test_a_damaged_artifact_is_not_registered(registry, workspace):
    run = artifacts.write_artifact(workspace)
    (run.out / "adapter_config.json").write_text("[1, 2]")
    with pytest.raises(burnish.BurnishError) as caught:
        registry.register("r.tune@1", name="support")
    assert caught.value.code == "run.damaged-artifact"


@pytest.mark.parametrize("file", ["chat_template.jinja", "tokenizer_config.json", "tokenizer.json"])
def test_the_hashes_of_tokenizer_and_template_are_of_their_content(registry, workspace, file):
    shutil.copytree(built_ins()["pocket"], workspace.root / "copy")
    adapter = {**artifacts.ADAPTER}
    found = []
    for number in (1, 2):
        base = resolve("file:copy", ("model",), workspace, {})
        artifacts.write_artifact(
            workspace, number=number, fingerprint=f"f{number}", files=adapter, inputs={"base": base}
        )
        one = registry.register(f"r.tune@{number}", name="support")
        found.append({"tokenizer": one["tokenizer"], "template": one["template"]})
        path = workspace.root / "copy" / file
        path.write_text(path.read_text().replace("<|im_start|>", "<|im_begin|>"))
    differing = {key for key in found[0] if found[0][key] != found[1][key]}
    has_template = (built_ins()["pocket"] / "chat_template.jinja").is_file()
    expected = {"tokenizer.json": {"tokenizer"}, "chat_template.jinja": {"template"}}
    assert differing == expected.get(file, set() if has_template else {"template"})


def test_latest_is_the_newest_version_that_was_not_removed_and_a_tag_goes_with_its_version(registry, workspace):
    for number in (1, 2):
        artifacts.write_artifact(workspace, number=number, fingerprint=f"f{number}")
        registry.register(f"r.tune@{number}", name="support")
    registry.tag("support@2", "best")
    registry.remove("support@2")
    assert registry.show("support@latest")["ref"] == "support@1"
    with pytest.raises(burnish.BurnishError):
        registry.show("support@best")
    registry.tag("support@1", "best")
    assert registry.show("support@best")["ref"] == "support@1"
