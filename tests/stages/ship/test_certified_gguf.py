"""`burnish certify` of a GGUF file against the model that it was made from."""

import pytest

from burnish.core.errors import AskError
from burnish.core.events import Chosen
from burnish.core.inputs.references import resolve
from burnish.core.runs.workspace import Workspace
from burnish.specs.evals import CertifySpec
from burnish.stages.evals.certify import run
from burnish.testing import temporary_context
from certified import make_adapter, make_base
from gguf_files import written

QUICK = {"tokens": 200, "answers": 2, "device": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def file(base, tmp_path_factory):
    return written(base, tmp_path_factory.mktemp("file") / "x-F16.gguf", "F16")[0]


def certified(child, parent, folder, **settings):
    ctx, events = temporary_context(folder, {"child": child, "parent": parent})
    return run(CertifySpec(child="file:a", parent="file:b", **{**QUICK, **settings}), ctx), events


def test_a_file_is_certified_and_its_type_found(base, file, tmp_path):
    found, events = certified(file, base, tmp_path)
    assert found.certificate["holds"]
    assert [event.value for event in events if isinstance(event, Chosen)] == ["F16"]
    verdicts = {check["name"]: check["verdict"] for check in found.certificate["checks"]}
    assert {verdicts[name] for name in ("tokens", "sizes", "kl", "top-1", "perplexity", "greedy")} == {"holds"}


def test_a_file_of_another_model_does_not_hold(base, file, tmp_path):
    adapter = make_adapter(base, tmp_path / "adapter")
    found, _ = certified(file, adapter, tmp_path)
    assert {check["name"] for check in found.certificate["checks"] if check["verdict"] == "does not hold"} >= {"kl"}


def test_a_file_with_another_template_does_not_hold(base, tmp_path):
    from burnish.tokens.load import load_tokenizer

    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = tokenizer.chat_template.replace("user", "User") + "{{ '<|im_end|>' }}"
    other = tmp_path / "other"
    other.mkdir()
    for path in base.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    tokenizer.save_pretrained(other)
    found, _ = certified(written(other, tmp_path / "x.gguf")[0], base, tmp_path)
    failed = {check["name"] for check in found.certificate["checks"] if check["verdict"] == "does not hold"}
    assert failed == {"tokens"}


def test_a_type_without_limits_must_be_named(base, file, tmp_path):
    import gguf

    reader = gguf.GGUFReader(file, "c")
    content = bytearray(file.read_bytes())
    field = reader.fields["general.file_type"]
    at = field.offset + sum(part.nbytes for part in field.parts[:-1])
    content[at : at + 4] = (24).to_bytes(4, "little")
    (tmp_path / "odd.gguf").write_bytes(content)
    with pytest.raises(AskError, match="the GGUF file has the file type 24"):
        certified(tmp_path / "odd.gguf", base, tmp_path)
    assert certified(tmp_path / "odd.gguf", base, tmp_path, change="F16")[0].certificate["holds"]


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_reference_to_a_file_or_its_folder_is_of_kind_gguf(file, tmp_path, is_folder):
    workspace = Workspace(tmp_path)
    path = file.parent if is_folder else file
    assert resolve(f"file:{path}", ("model", "adapter", "gguf"), workspace, {}).kind == "gguf"
