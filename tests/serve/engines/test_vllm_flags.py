"""The command lines that burnish writes for vLLM, against the flags of vLLM's own parser (`tools/vllm_flags.py`)."""

import itertools
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from burnish.models.adapters.vllm import RANKS
from burnish.serve.engines.vllm import VERSION, vllm_arguments
from burnish.specs.ship.serve import ServeSpec
from burnish.specs.ship.vllm import TAKEN

ROOT = Path(__file__).parents[3]
TABLE = json.loads(Path(__file__).with_name("vllm_flags.json").read_text(encoding="utf-8"))
FLAGS = TABLE["flags"]
PYTHON = "BURNISH_VLLM_PYTHON"
ADAPTERS = ({}, {"a": Path("/x/a")}, {"a": Path("/x/a"), "b/c.d": Path("/y z/ä=1,2")})
READERS = {
    "int": int,
    "float": float,
    "str": str,
    "json": json.loads,
    "human_readable_int_or_auto": int,
}
CHOICES = {
    "context": (None, 8, 131_072),
    "slots": (None, 1, 256),
    "adapters": ADAPTERS,
    "loads_adapters": (False, True),
    "rank": (1, *RANKS),
    "dtype": ("auto", "bfloat16", "float16", "float32"),
    "tensor_parallel": (1, 8),
    "more": ((), ("--gpu-memory-utilization=0.8", "--enforce-eager"), ("--gpu-memory-utilization", "0.5")),
}


def written(name="m", **settings):
    return vllm_arguments(Path("/models/m"), name, 8123, **settings)


def lines(together):
    """Every combination of the values of `together` settings, and names as the specification allows."""
    found = [written(), *(written(name) for name in ("a/b.c-d", "0", "9" * 100))]
    for names in itertools.combinations(CHOICES, together):
        for values in itertools.product(*(CHOICES[name] for name in names)):
            found.append(written(**dict(zip(names, values, strict=True))))
    return [list(line) for line in dict.fromkeys(map(tuple, found))]


def line_of_compose():
    """The command of the container, with the defaults of its variables; `serve` first, as in its entrypoint."""
    text = (ROOT / "docker" / "compose.cuda.yaml").read_text(encoding="utf-8")
    service = yaml.safe_load(text)["services"]["serve"]
    given = [re.sub(r"\$\{\w+(?::-(.*?))?\}", lambda found: found[1] or "x", word) for word in service["command"]]
    return [*service["entrypoint"], *given]


def fault(line, flags):
    """What the table does not allow in a line; "" if nothing."""
    assert line[0] == "serve"
    words, at = line[1:], 0
    if words[0].startswith("-"):
        return "no model"
    at = 1
    while at < len(words):
        flag, sign, value = words[at].partition("=")
        if flag not in flags:
            return f"no flag {flag}"
        entry, at = flags[flag], at + 1
        values = [value] if sign else []
        while not sign and at < len(words) and not words[at].startswith("-"):
            values, at = [*values, words[at]], at + 1
        if not (len(values) == entry["values"] or (entry["values"] == "+" and values)):
            return f"{flag} takes {entry['values']}, not {values}"
        for value in values:
            if "choices" in entry and value not in entry["choices"]:
                return f"{flag}: {value} is none of {entry['choices']}"
            try:
                READERS[entry.get("type")](value)
            except ValueError:
                return f"{flag}: {value} is no {entry['type']}"
    return ""


def test_the_table_is_of_the_version_that_burnish_writes_for():
    assert TABLE["vllm"] == VERSION
    assert "0.33.0" in (ROOT / "tools" / "vllm_flags.py").read_text(encoding="utf-8")
    assert f"vllm-openai:${{VLLM_TAG:-v{VERSION}}}" in (ROOT / "docker" / "compose.cuda.yaml").read_text()


def test_every_command_line_has_flags_and_values_of_the_parser():
    all_lines = lines(together=len(CHOICES))
    assert len(all_lines) > 1000
    faults = {fault(line, FLAGS): line for line in all_lines}
    assert set(faults) == {""}, faults


def test_the_command_of_the_container_has_flags_and_values_of_the_parser():
    program, *line = line_of_compose()
    assert program == "vllm"
    assert fault(line, FLAGS) == ""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--max-lora-rank", "24"], "is none of"),
        (["--port", "x"], "is no int"),
        (["--port"], "takes 1"),
        (["--enable-lora", "yes"], "takes 0"),
        (["--served-model-name"], "takes +"),
        (["--max-model-length", "8"], "no flag"),
    ],
    ids=str,
)
def test_the_check_of_lines_finds_what_the_parser_refuses(words, why):
    assert why in fault(["serve", "m", *words], FLAGS)


def test_every_setting_reaches_a_command_line():
    assert set(CHOICES) | {"model", "name", "port"} == {
        name for name in vllm_arguments.__annotations__ if name != "return"
    }
    assert set(CHOICES["dtype"]) == set(ServeSpec.model_fields["dtype"].annotation.__args__)


def test_ranks_are_those_of_the_parser():
    assert [1, *RANKS] == [int(choice) for choice in FLAGS["--max-lora-rank"]["choices"]]


@pytest.mark.parametrize("flag", sorted(TAKEN))
def test_a_flag_that_burnish_writes_is_refused_in_vllm_args(flag):
    assert flag in FLAGS
    spellings = {flag, f"{flag}=1"}
    if flag.startswith("--"):
        shorter = [flag[:end] for end in range(4, len(flag)) if flag[:end] not in FLAGS]
        spellings |= {"--" + flag[2:].replace("-", "_"), *shorter}
    for word in spellings:
        with pytest.raises(ValueError, match="is not possible here"):
            ServeSpec(model="builtin:pocket", vllm_args=["--enforce-eager", word, "1"])


def test_other_flags_are_kept_as_they_are():
    words = ["--gpu-memory-utilization", "0.5", "--max-lora-rank=64", "--model-impl", "vllm", "--max-logprobs", "-1"]
    assert ServeSpec(model="builtin:pocket", vllm_args=words).vllm_args == words
    with pytest.raises(ValueError, match="is no flag"):
        ServeSpec(model="builtin:pocket", vllm_args=["0.5"])


@pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} names no python with vLLM {VERSION}")
def test_the_real_parser_accepts_every_pair_of_settings_and_makes_the_same_table():
    tool = [os.environ[PYTHON], str(ROOT / "tools" / "vllm_flags.py")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    refused = ["serve", "m", "--max-lora-rank", "24"]
    pairs = lines(together=2)
    asked = [*pairs, line_of_compose()[1:], refused]
    done = subprocess.run(
        [*tool, "--check"], input=json.dumps(asked), capture_output=True, text=True, env=environment, check=True
    )
    *accepted, last = json.loads(done.stdout)
    assert "invalid choice: 24" in last["error"]
    assert [(line, one["error"]) for line, one in zip(asked, accepted, strict=False) if "error" in one] == []
    for line, one in zip(pairs, accepted, strict=False):
        values = one["values"]
        assert values["model_tag"] == "/models/m"
        assert values["port"] == 8123
        named = [json.loads(word)["name"] for word in line if word.startswith("{")]
        assert [module["name"] for module in values.get("lora_modules", ())] == named
    made = subprocess.run(tool, capture_output=True, text=True, env=environment, check=True)
    assert json.loads(made.stdout) == TABLE
