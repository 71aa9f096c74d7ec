"""Steps with the same stage, settings and inputs have the same fingerprint; place and speed do not matter."""

import hashlib
import os
from typing import Annotated

import pytest

from burnish.core import fingerprint
from burnish.core.errors import AskError
from burnish.core.fingerprint import of_path, of_step, of_value
from burnish.specs.base import RUNTIME, DataRef, Runtime, Spec
from burnish.specs.data import PrepareSpec, SourceSpec
from burnish.specs.train import SftSpec


def of(spec, inputs=None, stage="sft", version=1):
    return of_step(stage, version, spec, inputs or {})


def sft(**values):
    return SftSpec(**{"base": "hub:x", "data": "file:y", **values})


def test_an_explicit_default_changes_nothing():
    assert of(sft()) == of(sft(learning_rate=2e-4, method={"kind": "lora", "rank": 16}))


def test_settings_stage_version_and_inputs_each_change_it():
    base = of(sft())
    others = {
        of(sft(seed=1)),
        of(sft(method={"rank": 8})),
        of(sft(), stage="other"),
        of(sft(), version=2),
        of(sft(), {"data": "f1"}),
        of(sft(), {"data": "f2"}),
    }
    assert len(others | {base}) == 7


def test_where_and_how_fast_a_step_runs_changes_nothing():
    assert of(sft()) == of(sft(device="cpu", threads=3, resume="never", track=["tensorboard"], log_every=7))


def test_a_reference_counts_by_its_content_and_not_by_its_text():
    one, other = sft(data="file:a"), sft(data="file:b")
    assert of(one, {"data": "same", "base": "b"}) == of(other, {"data": "same", "base": "b"})
    listed = [PrepareSpec(source=[SourceSpec(ref=f"file:{name}", take=1)]) for name in "ab"]
    assert of(listed[0], {"source.0.ref": "f"}) == of(listed[1], {"source.0.ref": "f"})
    assert of(listed[0], {"source.0.ref": "f"}) != of(listed[1], {"source.0.ref": "g"})


def test_the_order_of_keys_does_not_matter():
    assert of_value({"a": 1, "b": [2]}) == of_value({"b": [2], "a": 1})
    assert of_value({"a": 1}) != of_value({"a": 1.5})


def test_a_file_is_its_bytes_and_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -1)
    path, known = tmp_path / "a.txt", {}
    path.write_text("one")
    first = of_path(path, known)
    (tmp_path / "copy.txt").write_text("one")
    assert of_path(tmp_path / "copy.txt", known) == first
    with monkeypatch.context() as unreadable:
        unreadable.setattr("pathlib.Path.open", None)
        assert of_path(path, known) == first
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert of_path(path, known) != first


def test_a_folder_is_its_names_and_bytes_without_its_git_history(tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("x")
    first = of_path(folder, {})
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("x")
    assert of_path(folder, {}) == first
    (folder / "sub" / "a").rename(folder / "sub" / "b")
    assert of_path(folder, {}) != first


def test_a_named_checkpoint_is_part_of_the_fingerprint_and_auto_and_never_are_not():
    assert of(sft()) == of(sft(resume="never"))
    assert of(sft(resume="/some/step-00000004")) not in (of(sft()), of(sft(resume="/some/step-00000005")))


@pytest.mark.parametrize("settled_after", [2 * 10**9, -1])
def test_an_edit_that_keeps_size_and_time_is_detected(tmp_path, monkeypatch, until, settled_after):
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", settled_after)
    path, known = tmp_path / "a.txt", {}
    path.write_text("one")
    before = path.stat()
    first = of_path(path, known)

    def edited():  # within one tick of the clock, the times may be equal
        path.write_text("two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return settled_after > 0 or path.stat().st_ctime_ns != before.st_ctime_ns

    until(edited)
    assert of_path(path, known) != first


def test_an_invalid_cached_hash_is_ignored(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one")
    for entry in (None, 3, [], ["x"], {"a": 1}, [[1], 2, 3]):
        assert of_path(path, {os.path.realpath(path): entry}) == of_path(path, {})


def test_a_file_that_has_just_changed_is_not_cached(tmp_path):
    path, known = tmp_path / "a.txt", {}
    path.write_text("one")
    of_path(path, known)
    assert known == {}


def test_a_file_is_its_bytes_and_its_suffix_at_any_path(tmp_path):
    """The suffix decides how a file is read: the same lines as .txt and as .jsonl are different inputs."""
    found = {}
    for name in ("rows.jsonl", "other.v2.JSONL", "rows.txt", "rows.jsonl.gz", "rows.txt.gz"):
        (tmp_path / name).write_text('{"text": "a"}\n')
        found[name] = of_path(tmp_path / name, {})
    assert found["rows.jsonl"] == found["other.v2.JSONL"]
    assert len(set(found.values())) == 4


def test_a_folder_below_a_git_folder_has_content(tmp_path):
    folder = tmp_path / ".git" / "worktrees" / "rows"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    before = of_path(folder, {})
    (folder / "a.txt").write_text("b")
    assert of_path(folder, {}) != before


class Words(Spec):
    word: str = "hi"
    threads: Annotated[int, RUNTIME] = 1


def test_the_identity_of_a_step_is_the_hash_of_four_named_parts():
    """Another name or part would make every step of every workspace new."""
    parts = {"stage": "words", "version": 3, "settings": {"word": "hi"}, "inputs": {"source": "f"}}
    assert of_step("words", 3, Words(), {"source": "f"}) == of_value(parts)


def test_the_order_of_listed_files_does_not_change_a_fingerprint(tmp_path, monkeypatch):
    for name in ("b/x", "a/y", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    first = of_path(tmp_path, {})
    listed = type(tmp_path).rglob

    def turned(path, pattern):
        return reversed(list(listed(path, pattern)))

    monkeypatch.setattr(type(tmp_path), "rglob", turned)
    assert of_path(tmp_path, {}) == first
    monkeypatch.setattr(type(tmp_path), "rglob", lambda path, pattern: sorted(listed(path, pattern), reverse=True))
    assert of_path(tmp_path, {}) == first


def test_the_content_of_a_model_is_its_config_its_weights_and_its_base_and_nothing_else(tmp_path):
    deciding = {
        *("config.json", "adapter_config.json", "burnish_base.json", "model.safetensors", "adapter_model.safetensors"),
        *("model-00001-of-00002.safetensors", "model.safetensors.index.json"),
    }
    others = {"README.md", "tokenizer.json", "generation_config.json", "rows.parquet", "loss.png"}
    for name in deciding | others:
        (tmp_path / name).write_text("before")
    before = fingerprint.of_model(tmp_path, {})
    assert before.keys() == deciding
    for name in sorted(deciding | others):
        (tmp_path / name).write_text("after!")
        after = fingerprint.of_model(tmp_path, {})
        assert {changed for changed in deciding if after[changed] != before[changed]} == {name} & deciding
        before = after


def test_a_remembered_file_is_read_again_when_size_time_or_inode_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -1)
    path, known = tmp_path / "a.txt", {}
    path.write_text("one")
    first = fingerprint.of_file(path, known)
    [(key, (stamp, _))] = known.items()
    for place in range(4):
        other = [value + (index == place) for index, value in enumerate(stamp)]
        assert fingerprint.of_file(path, {key: [other, "0" * 64]}) == first
    assert fingerprint.of_file(path, {key: [stamp, "0" * 64]}) == "0" * 64


def test_the_dots_of_nested_settings_keep_them_apart():
    assert fingerprint.flattened({"a": {"b": 1, "c": {}}, "d": [{"e": 2}], "f": None}) == {
        "a.b": 1,
        "d": [{"e": 2}],
        "f": None,
    }


HUB_FILES = {
    "config.json": True,
    "generation_config.json": True,
    "model-00001-of-00002.safetensors": True,
    "model.safetensors.index.json": True,
    "pytorch_model.bin": True,
    "consolidated.00.pth": True,
    "model.gguf": True,
    "adapter_config.json": True,
    "adapter_model.safetensors": True,
    "burnish_base.json": True,
    "tokenizer.json": True,
    "tokenizer_config.json": True,
    "special_tokens_map.json": True,
    "added_tokens.json": True,
    "vocab.json": True,
    "vocab.txt": True,
    "merges.txt": True,
    "tokenizer.model": True,
    "spiece.model": True,
    "qwen.tiktoken": True,
    "chat_template.jinja": True,
    "chat_template.json": True,
    "additional_chat_templates/tools.jinja": True,
    "additional_chat_templates/readme.jinja": True,
    "preprocessor_config.json": True,
    "modeling_custom.py": True,
    "USAGE_POLICY": True,
    "LICENSE": True,
    "LICENSE.md": True,
    "LICENSE.txt": True,
    "NOTICE.md": True,
    "README.md": False,
    "README_CN.md": False,
    "ReadMe.MD": False,
    "README": False,
    "readme.txt": False,
    "CHANGELOG.md": False,
    "original/README.md": False,
    "original/params.json": True,
    ".gitattributes": False,
    ".gitignore": False,
    ".git/HEAD": False,
    ".cache/huggingface/download/config.json.metadata": False,
    ".cache/huggingface/.gitignore": False,
    "figures/benchmark.png": False,
    "assets/logo.SVG": False,
    "loss.jpg": False,
    "paper.pdf": False,
}


@pytest.mark.parametrize("kind", ["model", "adapter", "tokenizer"])
@pytest.mark.parametrize("name", HUB_FILES)
def test_the_fingerprint_of_a_model_changes_with_the_files_that_a_step_may_read(tmp_path, kind, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "config.json").write_text("{}")
    without = of_path(tmp_path, {}, kind)
    path.write_text("before")
    before = of_path(tmp_path, {}, kind)
    path.write_text("after")
    found = (before != of_path(tmp_path, {}, kind), name != "config.json" and without != before)
    assert found == (HUB_FILES[name], HUB_FILES[name] and name != "config.json")


@pytest.mark.parametrize("kind", ["folder", "dataset"])
@pytest.mark.parametrize("name", [name for name in HUB_FILES if not name.startswith(".git/")])
def test_every_file_of_a_folder_of_data_is_part_of_its_fingerprint(tmp_path, kind, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("before")
    before = of_path(tmp_path, {}, kind)
    path.write_text("after")
    assert of_path(tmp_path, {}, kind) != before


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_value_is_hashed_as_canonical_json():
    assert of_value({"b": None, "a": [1, "é", {"z": True, "y": 0.5}]}) == sha(
        '{"a":[1,"é",{"y":0.5,"z":true}],"b":null}'.encode()
    )
    with pytest.raises(ValueError, match="JSON"):
        of_value([float("nan")])


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("rows", ""),
        (".hidden", ""),
        ("rows.txt", ".txt"),
        ("rows.v2.JSONL", ".jsonl"),
        ("rows.zst", ".zst"),
        ("a.b.rows.jsonl.zst", ".jsonl.zst"),
        ("a.rows.JSON.GZ", ".json.gz"),
        ("rows.gz.txt", ".txt"),
    ],
)
def test_a_file_is_its_suffix_in_small_letters_and_its_bytes(tmp_path, name, suffix):
    data = b"x" * (1 << 20) + b"yz"
    (tmp_path / name).write_bytes(data)
    assert fingerprint.of_file(tmp_path / name, {}) == sha(data)
    assert of_path(tmp_path / name, {}) == sha(f'["{suffix}","{sha(data)}"]'.encode())


def test_a_folder_is_the_sorted_list_of_its_files(tmp_path):
    for name in ("b", "a/z", "a/B", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    listed = ",".join(f'["{name}","{sha(name.encode())}"]' for name in ("a/B", "a/z", "b", "c"))
    assert of_path(tmp_path, {}) == sha(f"[{listed}]".encode())
    names = [f"{letter}.safetensors" for letter in "hgfedcba"]
    for name in names:
        (tmp_path / name).write_text(name)
    (tmp_path / "config.json").mkdir()
    assert list(fingerprint.of_model(tmp_path, {})) == sorted(names)


def test_a_hash_is_remembered_two_seconds_after_the_last_change(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("one")
    status = path.stat()
    for later, is_kept in ((0, False), (2_000_000_000, False), (2_000_000_001, True)):
        monkeypatch.setattr("time.time_ns", lambda later=later: status.st_ctime_ns + later)
        known = {}
        digest = fingerprint.of_file(path, known)
        stamp = [3, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        assert known == ({str(path): [stamp, sha(b"one")]} if is_kept else {})
        assert digest == sha(b"one")


class Part(Spec):
    ref: DataRef
    take: int = 1
    threads: Annotated[int, RUNTIME] = 1


class Parts(Spec):
    source: DataRef | list[Part]
    base: DataRef | None = None
    where: Annotated[str, Runtime(("auto", "never"))] = "auto"
    part: Part | None = None


def test_the_settings_of_a_step_are_without_its_references_and_without_where_it_runs():
    parts = [Part(ref="file:a"), Part(ref="file:b", take=2, threads=3)]
    spec = Parts(source=parts, base="file:c", where="here", part=Part(ref="file:d"))
    inputs = {"source.0.ref": "1", "source.1.ref": "2", "base": "3"}
    settings = {"source": [{"take": 1}, {"take": 2}], "part": {"ref": "file:d", "take": 1}}
    assert fingerprint.settings_of(spec, inputs) == settings
    assert fingerprint.identifying_settings(spec, inputs) == {**settings, "where": "here"}
    for where in ("auto", "never"):
        other = spec.model_copy(update={"where": where})
        assert fingerprint.identifying_settings(other, inputs) == settings
    single = Parts(source="file:a")
    assert fingerprint.settings_of(single, {"source": "1"}) == {"base": None, "part": None}
    assert fingerprint.settings_of(single, {}) == {"source": "file:a", "base": None, "part": None}


def test_a_file_whose_name_is_not_utf8_is_named(tmp_path):
    (tmp_path / "ok.txt").write_text("x")
    (tmp_path / "r\udcff.txt").write_text("x")
    with pytest.raises(AskError, match="is not UTF-8") as caught:
        of_path(tmp_path, {})
    assert "r\udcff.txt" in caught.value.what
