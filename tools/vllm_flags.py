"""vLLM's own parser of `vllm serve`: writes the table of its flags, or parses command lines.

PYTHON tools/vllm_flags.py > tests/serve/engines/vllm_flags.json
PYTHON tools/vllm_flags.py --check < lines.json

PYTHON is that of an environment with vLLM, and with what its modules import. No GPU and no compiled kernels are needed:

VLLM_VERSION_OVERRIDE=0.33.0 VLLM_TARGET_DEVICE=empty \\
    pip install --no-deps --no-build-isolation --no-binary vllm vllm==0.33.0

No module is stubbed. VLLM_TARGET_DEVICE=cpu selects vLLM's own CPU platform, since the defaults of some flags are those
of the platform; names, types and choices are not. `--check` takes a list of command lines, lists of words that start
with `serve`, and prints for each what the parser made of it, or its error.
"""

import argparse
import contextlib
import io
import json
import os
import re
import sys
from importlib.metadata import version
from typing import Any


def serve_parser() -> argparse.ArgumentParser:
    """The parser of `vllm`, with its subcommand `serve`."""
    os.environ["VLLM_TARGET_DEVICE"] = "cpu"
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser(prog="vllm")
    command = ServeSubcommand()
    made = command.subparser_init(parser.add_subparsers(dest="subparser"))
    made.set_defaults(validate_=command.validate)
    return parser


def table(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Each flag, with how many values it takes, their type and choices."""
    [commands] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    flags = {}
    for action in commands.choices["serve"]._actions:
        for name in action.option_strings:
            # a flag without a value has nargs 0; None is exactly one value
            entry: dict[str, Any] = {"values": 1 if action.nargs is None else action.nargs}
            if action.nargs != 0:
                entry["type"] = _type(action)
                if action.choices is not None:
                    entry["choices"] = [str(choice) for choice in action.choices]
            flags[name] = entry
    return {
        "vllm": version("vllm").partition("+")[0],
        "made_by": "tools/vllm_flags.py",
        "flags": dict(sorted(flags.items())),
    }


def _type(action: argparse.Action) -> str:
    """int, float, str, json, or the name of the function that reads it, without vLLM's wrappers for None and errors."""
    reader: Any = action.type or str
    while reader.__name__ in ("_optional_type", "_parse_type"):
        [cell] = reader.__closure__
        reader = cell.cell_contents
    return "json" if reader is json.loads else reader.__name__


def check(parser: argparse.ArgumentParser, lines: list[list[str]]) -> list[dict[str, Any]]:
    """What each line sets that it names, or `error`."""
    found: list[dict[str, Any]] = []
    for line in lines:
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                given = parser.parse_args(line)
                given.validate_(given)
        except (SystemExit, Exception) as error:
            found.append({"error": said.getvalue().strip()[-500:] or f"{type(error).__name__}: {error}"})
        else:
            values = vars(given)
            named = {re.sub(r"^-+", "", word).partition("=")[0].replace("-", "_") for word in line if word[:2] == "--"}
            shown = {name: values[name] for name in sorted({*named, "model_tag"}) if name in values}
            found.append({"values": json.loads(json.dumps(shown, default=_plain))})
    return found


def _plain(value: Any) -> Any:
    return vars(value) if hasattr(value, "__dict__") else str(value)


def main() -> None:
    with contextlib.redirect_stdout(sys.stderr):  # vLLM logs to stdout
        parser = serve_parser()
        result = check(parser, json.load(sys.stdin)) if "--check" in sys.argv[1:] else table(parser)
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
