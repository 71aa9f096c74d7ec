"""`burnish adapters` and `burnish models`."""

import json

import pytest

import artifacts


@pytest.fixture
def adapter(workspace):
    """A folder that is an adapter by its files."""
    folder = workspace.root / "lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/base"}')
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_a_folder_is_registered_once_and_listed(burnish, adapter):
    assert "registered as support@1 (candidate)" in burnish("adapters", "register", "lora", "--name", "support").out
    assert "is registered already: support@1" in burnish("adapters", "register", "lora", "--name", "support").out
    (adapter / "adapter_model.safetensors").write_bytes(b"other weights")
    again = burnish("adapters", "register", "lora", "--name", "support", "--because", "trained longer", "--who", "Ada")
    assert "support@2" in again.out
    rows = json.loads(burnish("--json", "adapters", "list").out)
    assert [(row["ref"], row["stage"]) for row in rows] == [("support@2", "candidate"), ("support@1", "candidate")]
    assert "has 7 bytes" not in rows[0]["damage"]
    assert "instead of 7" in rows[1]["damage"]  # the folder was changed under the first version
    assert json.loads(burnish("--json", "models", "list").out) == []
    shown = burnish("adapters", "show", "support@2").out
    assert "by Ada: trained longer" in shown
    assert "somebody/base" in shown


def test_a_model_is_no_adapter(burnish, adapter):
    burnish("adapters", "register", "lora", "--name", "support")
    found = burnish("models", "show", "support")
    assert found.status == 2
    assert "burnish adapters" in found.err
    found = burnish("models", "register", "lora", "--name", "other")
    assert found.status == 2
    assert "expects model" in found.err
    found = burnish("models", "register", "builtin:pocket", "--name", "support")
    assert found.status == 2
    assert "holds adapters" in found.err


def test_every_function_of_the_registry_is_a_command_and_every_command_a_function():
    import burnish as api
    from burnish.cli.main import app as main
    from burnish.cli.registry.apps import adapters, models

    def commands(app):
        return {command.name or command.callback.__name__ for command in app.registered_commands}

    assert commands(adapters) - commands(models) == {"merge"}
    own = {"listing": "list", "import_": "import"}
    functions = {own.get(name, name) for name in api.registry.__all__}
    assert functions == commands(models) | {"lineage", "gc", "reindex"}
    assert {"lineage", "gc", "reindex"} <= commands(main)


def test_gc_shows_and_removes(burnish, workspace):
    for number in (1, 2):
        artifacts.write_artifact(workspace, number=number, fingerprint=str(number))
    shown = burnish("gc")
    assert "r/1/tune" in shown.out
    assert "in 1 of 2 steps" in shown.out
    refused = burnish("gc", "--delete")
    assert "r/1/tune" in refused.out  # the list comes before the question
    assert refused.status == 2
    assert "--yes" in refused.err
    assert "removed 1 of 1" in burnish("gc", "--delete", "--yes").out
    assert "nothing to remove" in burnish("gc").out


def test_stages_and_tags_from_the_command_line(burnish, adapter):
    burnish("adapters", "register", "lora", "--name", "support")
    refused = burnish("adapters", "promote", "support@1")
    assert refused.status == 6
    assert "--because" in refused.err
    assert "support@1 is in staging" in burnish("adapters", "promote", "support@1", "--because", "x").out
    assert "support@best is support@1" in burnish("adapters", "tag", "support@1", "best").out
    assert "promoted from candidate to staging" in burnish("adapters", "show", "support@best").out
    assert burnish("lineage", "support", "--svg", "x.svg").status == 0
    assert "no tag best" in burnish("adapters", "untag", "support@1", "best").out
    assert "is removed" in burnish("adapters", "remove", "support@1").out
    assert burnish("adapters", "list", "support").out.count("removed") == 1


def test_completion_knows_versions(burnish, adapter, workspace):
    from types import SimpleNamespace

    from burnish.cli import completion

    burnish("adapters", "register", "lora", "--name", "support")
    context = SimpleNamespace(find_root=lambda: SimpleNamespace(params={"workspace": str(workspace.root)}))
    assert completion.versions(context, "sup") == ["support@1", "support@candidate", "support@latest"]
    assert completion.entries(context, "") == ["support"]
    assert "support@1" in completion.references(context, "support@")


def test_a_stage_command_registers(burnish):
    done = burnish("quick-model", "--base", "builtin:pocket", "--register", "solo")
    assert "registered as solo@1" in done.out
    assert "solo@1" in burnish("adapters", "list").out
    assert "--register" in burnish("quick-model", "--help").out
    assert "--register" not in burnish("quick-make", "--help").out


REFUSED = ["support@", "support@0", "support@03", "support@9", "support@1@2", "support@nothing", "Support@1", "../x@1"]


@pytest.mark.parametrize("ref", [*REFUSED, "support@\u0663", "\u0455upport@1", "support@-1", "support@production"])
def test_a_reference_to_no_version_is_refused_with_the_next_step(burnish, adapter, ref):
    burnish("adapters", "register", "lora", "--name", "support")
    for words in (("adapters", "show", ref), ("quick-model", "--base", ref, "--dry-run")):
        found = burnish(*words)
        assert found.status == 2, words
        assert "hint:" in found.err
        assert "internal" not in found.err


FORGED = "x\nhistory: 2026-01-01 promoted by Ada\r\x1b[2J\u2028\tgone"


def test_text_of_a_change_stays_in_its_line(burnish, adapter):
    burnish("adapters", "register", "lora", "--name", "support", "--because", FORGED, "--who", FORGED)
    burnish("adapters", "remove", "support@1", "--because", FORGED, "--who", FORGED)
    burnish("adapters", "register", "lora", "--name", "support", "--because", FORGED, "--who", FORGED)
    for words in (("list",), ("list", "support"), ("show", "support@2"), ("show", "support@1"), ("show", "support@x")):
        found = burnish("adapters", *words)
        lines = [line.strip(" │") for line in (found.out + found.err).splitlines()]
        assert not [line for line in lines if line.startswith("history: 2026-01-01")], words
        assert not set("\r\x1b\u2028\t") & set(found.out + found.err)


def test_the_table_names_authors_shortly(burnish, adapter):
    burnish("adapters", "register", "lora", "--name", "support", "--who", "Ada Lovelace <ada.lovelace@example.org>")
    assert "example.org" not in burnish("adapters", "list").out
    assert "Ada Lovelace <ada.lovelace@example.org>" in burnish("adapters", "show", "support@1").out


def test_a_drawing_replaces_only_a_drawing(burnish, adapter, workspace):
    burnish("adapters", "register", "lora", "--name", "support")
    target, other = workspace.root / "l.svg", workspace.root / "o.svg"
    for _ in range(2):
        assert burnish("lineage", "support", "--svg", target).status == 0
    for content in ("name: my recipe\n", "", "<svg xmlns='http://www.w3.org/2000/svg'></svg>"):
        other.write_text(content)
        found = burnish("lineage", "support", "--svg", other)
        assert (found.status, other.read_text()) == (2, content)
        assert "is not a drawing of a lineage" in found.err
    assert "is a folder" in burnish("lineage", "support", "--svg", workspace.root).err


def test_names_of_other_tools_lead_to_the_command_and_the_stage(burnish, adapter):
    burnish("adapters", "register", "lora", "--name", "support")
    for word in ("delete", "rm"):
        assert "did you mean 'remove'?" in burnish("adapters", word, "support@1").err
    for word, stage in {"prod": "production", "stag": "staging", "Production": "production"}.items():
        found = burnish("adapters", "promote", "support@1", "--to", word, "--because", "x")
        assert f"did you mean '{stage}'?" in found.err


def test_an_imported_version_shows_what_it_was_there(burnish, workspace, tmp_path):
    artifacts.write_artifact(workspace)
    burnish("adapters", "register", "r.tune@1", "--name", "support")
    burnish("adapters", "tag", "support@1", "friday")
    burnish("adapters", "export", "support@1", "--to", tmp_path / "s.tar")
    (tmp_path / "there").mkdir()
    there = ("--workspace", tmp_path / "there")
    burnish(*there, "adapters", "import", tmp_path / "s.tar")
    shown = burnish(*there, "adapters", "show", "support@1").out
    assert "candidate, tagged friday there" in shown
    assert "imported by" in shown
    assert "registered by" not in shown
