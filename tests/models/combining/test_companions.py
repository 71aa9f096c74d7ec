"""Files beside the weights of adapters that are combined: what differs is named, and stop tokens must be equal."""

import json
from pathlib import Path

import pytest

from burnish.core.errors import ModelError
from burnish.models.combining.companions import other_companions, write_companions

FILES = (
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.json"),
    *("preprocessor_config.json", "processor_config.json", "generation_config.json"),
    "additional_chat_templates/tools.jinja",
)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """A base and two adapters, each with every companion file, all equal."""
    for name in ("base", "one", "two"):
        for file in (*FILES, "LICENSE"):
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"eos_token_id": 2, "size": 1}))
    return {name: tmp_path / name for name in ("base", "one", "two")}


def found(folders: dict[str, Path]) -> list[str]:
    return other_companions({name: folders[name] for name in ("one", "two")}, folders["base"])


def test_equal_files_are_kept_without_a_word(folders: dict[str, Path], tmp_path: Path) -> None:
    assert found(folders) == []
    (folders["one"] / FILES[0]).unlink()
    assert found(folders) == [], "an adapter without a file has that of its base"
    write_companions({name: folders[name] for name in ("one", "two")}, tmp_path / "out")
    written = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.*")}
    assert written == set(FILES)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("adapter", ["one", "two"])
def test_a_file_that_differs_is_named(folders: dict[str, Path], file: str, adapter: str) -> None:
    (folders[adapter] / file).write_text(json.dumps({"eos_token_id": 2, "size": 3}))
    [warning] = found(folders)
    keys = " (size)" if file.endswith(".json") else ""
    assert warning == f"{file} of two differs from that of one{keys}: that of one is kept"


def test_a_file_that_the_first_lacks_is_compared_with_its_base_and_kept(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    (folders["one"] / "generation_config.json").unlink()
    (folders["two"] / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "size": 3}))
    assert found(folders) == ["generation_config.json of one differs from that of two (size): that of two is kept"]
    write_companions({name: folders[name] for name in ("one", "two")}, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "generation_config.json").read_text())["size"] == 3


@pytest.mark.parametrize("stop", [[2, 5], None])
def test_other_stop_tokens_are_refused(folders: dict[str, Path], stop: list[int] | None) -> None:
    (folders["two"] / "generation_config.json").write_text(json.dumps({"eos_token_id": stop, "size": 1}))
    with pytest.raises(ModelError, match="one and two stop at other tokens: eos_token_id") as caught:
        found(folders)
    assert caught.value.code == "model.wrong-adapter"


def test_every_licence_is_kept(folders: dict[str, Path], tmp_path: Path) -> None:
    (folders["two"] / "LICENSE").write_text("another")
    assert found(folders) == []
    write_companions({"one": folders["one"], "file:/two": folders["two"]}, tmp_path / "out")
    assert (tmp_path / "out" / "LICENSE-file-two").read_text() == "another"
