"""The environment variables that burnish and the libraries of its workers read, and what each may hold.

Those of containers are explained in `docker/.env.example`, and read from there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.core.secrets import MASK, mask

Kind = Literal["secret", "path", "flag", "number", "text"]
Group = Literal["keys", "hub", "network", "machine", "trackers", "burnish", "containers"]
FLAGS = ("0", "1", "false", "true", "no", "yes", "off", "on")
_LONGEST = 8_192
"""Characters of a value."""
_OWN_KEY = re.compile(r"[A-Z][A-Z0-9_]{0,99}_(?:API_KEY|ACCESS_KEY|KEY|TOKEN|SECRET|PASSWORD)")
"""A name that a user may choose for a key, for `api_key_env` of an endpoint: it holds a secret, and steers nothing."""
_ADDRESSES = ("MLFLOW_TRACKING_URI", "RAY_ADDRESS")
"""Addresses that may have no scheme."""
_LOGIN = re.compile(r"(?![a-z][a-z0-9+.-]*://).*@", re.DOTALL)
"""`user:password@` of an address without a scheme, which `mask` does not take for one."""
_ADDRESS = r"[a-z][a-z0-9+.-]*://\S+"


@dataclass(frozen=True)
class Variable:
    """A variable. `for_workers`: burnish takes it from the file; the others are those of containers."""

    name: str
    kind: Kind
    group: Group
    help: str
    choices: tuple[str, ...] = ()
    pattern: str = ""
    """What a whole value matches; "" is anything."""
    expected: str = ""
    """The pattern in words."""
    bounds: tuple[int, int] = (0, 0)
    for_workers: bool = True

    def check(self, value: str) -> None:
        """AskError `ask.wrong-value` for what it cannot hold; the error of a secret or an address does not say it."""
        if problem := self._problem(value):
            shown = "" if self.kind == "secret" or self._is_address else f"={mask(value)[:100]!r}"
            raise AskError("ask.wrong-value", f"{self.name}{shown} {problem[0]}", problem[1])

    def shown(self, value: str) -> str | None:
        """A value as others may read it; None for a secret, and for what the variable cannot hold."""
        if self.kind == "secret" or (value and self._problem(value)):
            return None
        login = _LOGIN.match(value) if self._is_address else None
        return mask(f"{MASK}@{value[login.end() :]}" if login else value)

    @property
    def _is_address(self) -> bool:
        return self.pattern == _ADDRESS or self.name in _ADDRESSES

    def _problem(self, value: str) -> tuple[str, str] | None:
        """What is wrong, and the fix."""
        if not value.strip():
            return "is empty", "remove the variable instead"
        if len(value) > _LONGEST:
            return f"has {len(value):,} characters", f"at most {_LONGEST:,} are kept"
        if not value.isprintable():
            return "has a character that no line of a file can hold", "write it on one line, without control characters"
        if value != value.strip():
            return "begins or ends with a space", "remove the space"
        if self.kind == "secret" and not value.isascii():
            return "has characters that no header can hold", "set the key alone, without quotes"
        if self.kind == "flag" and value.lower() not in FLAGS:
            return "is neither on nor off", "write 1 or 0"
        if self.kind == "number":
            low, high = self.bounds
            if not (re.fullmatch(r"[0-9]{1,9}", value) and low <= int(value) <= high):
                return "is not such a number", f"write a whole number from {low} to {high}"
        if self.choices and value not in self.choices:
            return "is none of its values", f"write one of {', '.join(self.choices)}"
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f"is not {self.expected}", f"write {self.expected}"
        return None


def _address(name: str, group: Group, text: str) -> Variable:
    return Variable(name, "text", group, text, pattern=_ADDRESS, expected="an address, such as https://example.com")


def _secret(name: str, group: Group, text: str) -> Variable:
    return Variable(name, "secret", group, text)


def _text(name: str, group: Group, text: str, *choices: str) -> Variable:
    return Variable(name, "text", group, text, choices=choices)


def _number(name: str, group: Group, text: str, low: int, high: int) -> Variable:
    return Variable(name, "number", group, text, bounds=(low, high))


_OF_WORKERS = (
    _secret("OPENAI_API_KEY", "keys", "The key of OpenAI, for endpoints with api_key_env: OPENAI_API_KEY."),
    _secret("ANTHROPIC_API_KEY", "keys", "The key of Anthropic, for endpoints with api_key_env: ANTHROPIC_API_KEY."),
    _secret("DEEPSEEK_API_KEY", "keys", "The key of DeepSeek, for endpoints with api_key_env: DEEPSEEK_API_KEY."),
    _secret("DASHSCOPE_API_KEY", "keys", "The key of Model Studio, for endpoints with api_key_env: DASHSCOPE_API_KEY."),
    _secret("OPENROUTER_API_KEY", "keys", "The key of OpenRouter, for endpoints with api_key_env: OPENROUTER_API_KEY."),
    _secret("HF_TOKEN", "hub", "A token of the hub, for private and gated models, and to push."),
    _address("HF_ENDPOINT", "hub", "A mirror of the hub; by default https://huggingface.co."),
    Variable("HF_HOME", "path", "hub", "The folder of what the hub's library keeps; by default ~/.cache/huggingface."),
    Variable("HF_HUB_CACHE", "path", "hub", "The folder of downloaded models and data; by default hub in HF_HOME."),
    Variable("HF_HUB_OFFLINE", "flag", "hub", "1: use only what is in the cache of the hub."),
    _address("HTTPS_PROXY", "network", "The proxy of https addresses."),
    _address("HTTP_PROXY", "network", "The proxy of http addresses."),
    _text("NO_PROXY", "network", "Hosts that are reached without the proxy, separated by commas."),
    Variable("SSL_CERT_FILE", "path", "network", "A file of certificates to trust, as of a company's proxy."),
    Variable("REQUESTS_CA_BUNDLE", "path", "network", "The same, for libraries that read this name."),
    _address("PIP_INDEX_URL", "network", "A mirror of the package index, for the environment of the quantizers."),
    _number("OMP_NUM_THREADS", "machine", "CPU threads of each worker, where a stage's threads is auto.", 1, 4_096),
    _number("MKL_NUM_THREADS", "machine", "CPU threads of MKL; by default OMP_NUM_THREADS.", 1, 4_096),
    _text("OMP_WAIT_POLICY", "machine", "What threads without work do; PASSIVE by default.", "PASSIVE", "ACTIVE"),
    Variable(
        "CUDA_VISIBLE_DEVICES",
        "text",
        "machine",
        "The GPUs that workers see, such as 0,1; -1: none.",
        pattern=r"-1|[\w-]+(,[\w-]+)*",
        expected="numbers of GPUs with commas between them, such as 0,1",
    ),
    Variable(
        "PYTORCH_ALLOC_CONF",
        "text",
        "machine",
        "Settings of torch's allocator on a GPU; expandable_segments:True by default.",
        pattern=r"\w+:[\w.>\[\]:,-]+",
        expected="settings of the allocator, such as expandable_segments:True",
    ),
    _text("RAY_ADDRESS", "machine", "The Ray cluster that clean uses (on: ray); by default one that it starts."),
    _text("RAY_AUTH_MODE", "machine", "Whether that cluster asks for a token.", "token", "disabled"),
    _secret("RAY_AUTH_TOKEN", "machine", "The token of that cluster."),
    _secret("WANDB_API_KEY", "trackers", "The key of Weights & Biases (track: wandb)."),
    _text("WANDB_PROJECT", "trackers", "The project there; by default burnish."),
    _text("WANDB_ENTITY", "trackers", "The user or team there."),
    _text("WANDB_MODE", "trackers", "Where its runs go.", "online", "offline", "disabled", "shared"),
    _address("WANDB_BASE_URL", "trackers", "The address of your own server of it."),
    _secret("SWANLAB_API_KEY", "trackers", "The key of SwanLab (track: swanlab)."),
    _text("SWANLAB_PROJ_NAME", "trackers", "The project there; by default burnish."),
    _text("SWANLAB_MODE", "trackers", "Where its runs go.", "online", "cloud", "local", "offline", "disabled"),
    _text("MLFLOW_TRACKING_URI", "trackers", "The server or store of MLflow (track: mlflow)."),
    _text("MLFLOW_EXPERIMENT_NAME", "trackers", "The experiment there; by default burnish."),
    _text("MLFLOW_TRACKING_USERNAME", "trackers", "The user of that server."),
    _secret("MLFLOW_TRACKING_PASSWORD", "trackers", "The password of that user."),
    _secret("MLFLOW_TRACKING_TOKEN", "trackers", "A token of that server, instead of user and password."),
    _text("TRACKIO_SPACE_ID", "trackers", "The Space that Trackio writes to (track: trackio)."),
    _text("BURNISH_AUTHOR", "burnish", "Who registers and promotes; by default the user of Git."),
    _secret("BURNISH_DATABASE", "burnish", "The address of the jobs' database; by default a file of the workspace."),
    _number("BURNISH_UPLOAD_GIB", "burnish", "The size in GiB of the largest upload; by default 64.", 1, 1_000_000),
    Variable("BURNISH_CACHE", "path", "burnish", "Where environments of quantizers are made; by default the user's."),
    _text("BURNISH_KERNELS", "burnish", "numpy: clean texts without the compiled kernels.", "numpy"),
)
_KINDS_OF_CONTAINERS: dict[str, Kind] = {
    "BURNISH_API_KEY": "secret",
    "WEBUI_AUTH": "flag",
    "SERVE_PORT": "number",
    "WEBUI_PORT": "number",
    "LOGS_PORT": "number",
    "TENSORBOARD_PORT": "number",
    "BURNISH_UID": "number",
    "BURNISH_GID": "number",
    "BURNISH_SOURCE": "path",
    "DOCKER_SOCKET": "path",
    "BURNISH_MODEL_PATH": "path",
}
_EXAMPLE = re.compile(r"#(?P<name>[A-Z][A-Z0-9_]*)=(?P<default>.*)")


@cache
def for_workers() -> dict[str, Variable]:
    """The variables that burnish takes from the file for itself and its workers, by name."""
    return {one.name: one for one in _OF_WORKERS}


@cache
def variables() -> dict[str, Variable]:
    """Every known variable by name."""
    return {**{one.name: one for one in _of_containers()}, **for_workers()}


def variable(name: str) -> Variable:
    """A known variable, or a key that a user named. Errors: AskError `ask.unknown-key`, `ask.wrong-value`."""
    if name == "BURNISH_WORKSPACE":
        what = "BURNISH_WORKSPACE says where the workspace is, and cannot be in a file of the workspace"
        raise AskError("ask.wrong-value", what, "set it in the shell")
    if (known := variables().get(name)) is not None:
        return known
    if is_own_key(name):
        return _secret(name, "keys", "A key of yours, for endpoints that name it in api_key_env.")
    fix = f"{nearest(name[:100], variables())}; a key of your own ends in _API_KEY, _TOKEN, _SECRET or _PASSWORD"
    raise AskError("ask.unknown-key", f"there is no setting {name[:100]!r}", fix)


def is_own_key(name: str) -> bool:
    """Whether a name that is not in the table is that of a key: it is taken from the file, too."""
    return _OWN_KEY.fullmatch(name) is not None


def _of_containers() -> Iterator[Variable]:
    """The variables of `docker/.env.example`, each with the comment above it as its help."""
    from burnish.studio.containers.project import files

    path = files() / ".env.example"
    comment: list[str] = []
    is_comment = True  # of the next line: lines of variables may follow each other
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        if (found := _EXAMPLE.fullmatch(line)) is not None:
            yield _of_container(found["name"], " ".join(comment))
            is_comment = False
        elif line.startswith("# "):
            comment = [*(comment if is_comment else []), line[2:]]
            is_comment = True
        else:
            comment = []


def _of_container(name: str, text: str) -> Variable:
    kind = _KINDS_OF_CONTAINERS.get(name, "text")
    bounds = (1, 65_535) if name.endswith("_PORT") else (0, 2**31)
    return Variable(name, kind, "containers", text, bounds=bounds, for_workers=False)
