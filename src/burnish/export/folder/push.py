"""Uploads a folder to a hub, as one commit: `python -m burnish.export.folder.push`, a JSON request in, an answer out.

What the hub holds already is not uploaded again. Afterwards the files of the commit are compared with those of the
folder. The client is huggingface_hub's own: it reads HF_TOKEN, the token of `hf auth login`, and HF_ENDPOINT.
"""

import hashlib
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, BurnishError, RunError
from burnish.core.fingerprint import BASE_RECORD, QUANTIZATION_RECORD
from burnish.core.registry.licences import licence_of
from burnish.export.folder.demands import DEMANDS, follows
from burnish.export.folder.snippets import HERE

CARD = "README.md"
_AGAIN = "the folder here is complete: run the same command again, which uploads it without making it again"
_OF_A_MODEL = (
    *("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json"),
    *("adapter_model.safetensors", "adapter_model.bin", "adapter_config.json", "config.json", "generation_config.json"),
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "qwen.tiktoken"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja"),
    *("preprocessor_config.json", "processor_config.json", BASE_RECORD, QUANTIZATION_RECORD),
)
"""Names that loaders read: such files of an earlier commit that are not part of the folder are deleted.

A `*` stands for a part of one name: files in folders of the user's, and with other names, stay.
"""
_STATUS = {
    401: ("the hub does not accept the token", "set HF_TOKEN to a valid token, or run `hf auth login`"),
    403: ("the token may not write there", "use a token with write access to this owner"),
    404: ("the hub has no such repository, or hides it from this token", "check the name and the rights of the token"),
    409: ("the hub reports a conflict", "see what the repository holds"),
    412: ("somebody else changed the repository in the meantime", "see what the repository holds"),
    413: ("the hub refuses the size of a file", "set max_shard_bytes"),
    429: ("the hub limits the rate of requests", "wait some minutes"),
}


def check_token() -> None:
    """AskError `ask.missing-key` before long work if there is no token."""
    from huggingface_hub import get_token

    if not get_token():
        raise AskError(
            "ask.missing-key", "push_to needs a token, and there is none", "set HF_TOKEN, or `hf auth login`"
        )


def naming(repo: str, licences: Sequence[str]) -> list[str]:
    """What the licences ask of the name of a repository that it does not follow."""
    return [
        f"the {demands.title} asks for a name that starts with '{demands.prefix}', and {repo} does not"
        for demands in (DEMANDS[one] for one in licences if one in DEMANDS)
        if not follows(repo, demands)
    ]


def push(folder: Path, repo: str, branch: str | None, private: bool, message: str) -> dict[str, Any]:
    """Upload every file of `folder`; returns `commit`, `url`, `pushed` (False: all was there), `deleted` and `notes`.

    In the card the name of the repository takes the place of the folder's. Errors: RunError `run.not-pushed`.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    target = f"hub:{repo}{f'@{branch}' if branch else ''}"
    contents = _contents(folder, repo)
    api = HfApi()
    notes = naming(repo, [licence_of(folder)[0]])
    with _reported(target):
        head = _repository(api, repo, branch, private, notes)
        there = _remote(api, repo, head)
        stale = sorted(name for name in there if name not in contents and _is_of_a_model(name))
        changed = [name for name, content in contents.items() if not _is_same(there.get(name), content)]
        if not changed and not stale:
            return {"commit": head, "url": _url(api, repo, head), "pushed": False, "deleted": [], "notes": notes}
        operations: list[Any] = [CommitOperationDelete(name) for name in stale]
        operations += [CommitOperationAdd(name, contents[name]) for name in changed]
        made = api.create_commit(repo, operations, commit_message=message, revision=branch, parent_commit=head or None)
        now = _remote(api, repo, made.oid)
        wrong = sorted(name for name, one in contents.items() if not _is_same(now.get(name), one))
    if wrong:
        what = f"after the upload, commit {made.oid} of {target} holds other contents of {', '.join(wrong)}"
        raise RunError("run.not-pushed", what, f"look at {_url(api, repo, made.oid)}; {_AGAIN}")
    if CARD in there and CARD in changed:
        notes.append(f"the card that was there is in the history, before {made.oid[:12]}")
    return {"commit": made.oid, "url": _url(api, repo, made.oid), "pushed": True, "deleted": stale, "notes": notes}


def _contents(folder: Path, repo: str) -> dict[str, Path | bytes]:
    """The files by name; the card as bytes, with the name of the repository."""
    found: dict[str, Path | bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path
    if CARD in found:
        text = (folder / CARD).read_text(encoding="utf-8")
        found[CARD] = text.replace(f"file:{HERE}", f"hub:{repo}").replace(HERE, repo).encode()
    return found


def _repository(api: Any, repo: str, branch: str | None, private: bool, notes: list[str]) -> str:
    """The newest commit of the branch, in a repository that is created where it is missing."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = api.model_info(repo)
    except RepositoryNotFoundError:
        api.create_repo(repo, private=private, exist_ok=True)
        info = api.model_info(repo)
        if private and not info.private:
            raise _public(repo, "was created public, although a private one was requested") from None
    if private and not info.private:
        raise _public(repo, "is public")
    if not private and info.private:
        notes.append(f"{repo} is private, and stays so")
    if branch is None:
        return info.sha
    try:
        return api.model_info(repo, revision=branch).sha
    except RevisionNotFoundError:
        api.create_branch(repo, branch=branch, exist_ok=True)
        return api.model_info(repo, revision=branch).sha


def _public(repo: str, what: str) -> RunError:
    fix = "set private: false to upload there all the same, or make the repository private on the hub"
    return RunError("run.not-pushed", f"nothing was uploaded: {repo} {what}", fix)


def _remote(api: Any, repo: str, commit: str) -> dict[str, Any]:
    """The files of a commit by name, with size and hashes."""
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(repo, recursive=True, revision=commit)
    return {one.path: one for one in tree if isinstance(one, RepoFile)}


def _is_same(there: Any, content: Path | bytes) -> bool:
    """Whether a file of the hub has this content, by its sha256 or its hash in Git."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if there is None or there.size != size:
        return False
    if there.lfs is not None:
        return there.lfs.sha256 == _hash(hashlib.sha256(), content)
    return there.blob_id == _hash(hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False), content)


def _hash(found: Any, content: Path | bytes) -> str:
    if isinstance(content, bytes):
        found.update(content)
        return found.hexdigest()
    with content.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _is_of_a_model(name: str) -> bool:
    folder, _, last = name.rpartition("/")
    patterns = (pattern.rpartition("/") for pattern in _OF_A_MODEL)
    return any(folder == where and fnmatchcase(last, pattern) for where, _, pattern in patterns)


def _url(api: Any, repo: str, commit: str) -> str:
    return f"{api.endpoint}/{repo}/tree/{commit}"


@contextmanager
def _reported(target: str) -> Iterator[None]:
    """Report what the client raises as RunError `run.not-pushed`."""
    from huggingface_hub import errors

    try:
        yield
    except BurnishError:
        raise
    except Exception as error:
        status = _status(error)
        if status is not None:
            default = "the hub fails" if status >= 500 else "the hub refuses the request"
            why, fix = _STATUS.get(status, (default, "try again later" if status >= 500 else "see the message"))
            message = getattr(error, "server_message", None) if hasattr(error, "response") else str(error)
            said = f" ({status}{f': {message}' if message else ''})"
            raise RunError("run.not-pushed", f"{target}: {why}{said}", f"{fix}; {_AGAIN}") from error
        if isinstance(error, errors.OfflineModeIsEnabled):
            raise _unreachable(target, "HF_HUB_OFFLINE is set", "remove it") from error
        *_, root = causes = list(_causes(error))
        if any(isinstance(one, OSError) or type(one).__module__.startswith("httpx") for one in causes):
            raise _unreachable(target, f"{type(root).__name__}: {root}", "check the network and HF_ENDPOINT") from error
        raise RunError("run.not-pushed", f"{target}: {type(error).__name__}: {root}", _AGAIN) from error


class UnreachableError(RunError):
    """The hub cannot be reached."""


def _unreachable(target: str, why: str, fix: str) -> UnreachableError:
    what = f"{target}: the hub cannot be reached, or broke off ({why})"
    return UnreachableError("run.not-pushed", what, f"{fix}; {_AGAIN}")


def _status(error: BaseException) -> int | None:
    """The status of the hub's answer behind an error."""
    answers = (getattr(one, "response", None) for one in _causes(error))
    return next((int(answer.status_code) for answer in answers if answer is not None), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, then what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def main() -> None:
    """Answer one request."""
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    request: Mapping[str, Any] = json.loads(sys.stdin.read())
    answer: dict[str, Any]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            names = ("repo", "branch", "private", "message")
            answer = push(Path(request["folder"]), *(request[name] for name in names))
        except BurnishError as error:
            answer = {"error": error.as_dict(), "is_unreachable": isinstance(error, UnreachableError)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
