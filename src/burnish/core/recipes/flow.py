"""The value of a setting as YAML on one line, as it can be given to its option and written in a recipe."""

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from burnish.core.errors import BurnishError
from burnish.core.recipes.yaml import parse_yaml
from burnish.specs.base import Spec


def flow(value: Any) -> str:
    """The YAML. Of settings with fields, those that are not their default are shown, and the kind."""
    if isinstance(value, Spec):
        return flow(_given(value))
    if isinstance(value, Mapping):
        pairs = (f"{flow(key)}: {flow(child)}" for key, child in cast(Mapping[Any, Any], value).items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, cast(list[Any], value)))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return _text(str(value))


def _given(value: Spec) -> dict[str, Any]:
    fields = type(value).__pydantic_fields__
    defaults = {name: info.get_default(call_default_factory=True) for name, info in fields.items()}
    values = value.__dict__
    return {name: values[name] for name in fields if name == "kind" or values[name] != defaults[name]}


def _text(value: str) -> str:
    """A string, in quotes if it reads as something else without."""
    try:
        is_plain = parse_yaml(f"[{value}]".encode(), "").value == [value] == [value.strip()]
    except (BurnishError, UnicodeEncodeError):
        is_plain = False
    return value if is_plain else json.dumps(value, ensure_ascii=False)
