"""What a person should know about rows before training on them, with what to do about it."""

from collections.abc import Mapping
from typing import Any

from burnish.data.profile.personal import name_of

_EXACT, _NEAR, _EMPTY, _PERSONAL = 0.01, 0.05, 0.5, 0.01
_COLUMNS_NAMED = 6


def advice(found: Mapping[str, Any]) -> list[str]:
    """A sentence for each finding; empty where nothing stands out."""
    sentences = []
    if rows := found["bad"]["rows"]:
        sentences.append(f"{rows:,} rows are bad: prepare quarantines them, see the first ones below")
        if rows > found["rows"]:
            sentences.append("most rows do not have the layout of the first ones: profile files of each layout alone")
    for name, split in found["leakage"].items():
        exact, asked, near = split["exact"], split["question"], split.get("near", 0)
        if exact + asked:
            text = f"{exact + asked:,} of {split['rows']:,} rows of {name} repeat a training row or its question"
            sentences.append(f"{text}: scores on them measure memory; split the data with prepare, or drop the rows")
        if near:
            sentences.append(f"{near:,} of {split['rows']:,} rows of {name} nearly equal a training row")
    exact, near = found["duplicates"]["exact"], found["duplicates"].get("near")
    rows = exact["rows"] - found["source"].get("repeated", 0)  # a mixture that repeats rows does so on purpose
    if rows >= _EXACT * found["rows"]:
        text = f"{rows:,} rows ({rows / found['rows']:.1%}) repeat another row"
        sentences.append(f"{text}: prepare drops them with deduplicate: true")
    if near is not None and near["share"] >= _NEAR:
        sentences.append(f"{near['rows']:,} rows ({near['share']:.1%}) nearly repeat another row: clean can drop them")
    personal = found["personal"]
    if "key" in personal["kinds"] or personal["share"] >= _PERSONAL:
        kinds = ", ".join(f"{name_of(kind)} {of['rows']:,}" for kind, of in personal["kinds"].items())
        text = f"{personal['rows']:,} rows ({personal['share']:.1%}) have what looks like personal data ({kinds})"
        sentences.append(f"{text}: clean masks it with rewriting.pii")
    total = max(1, found["rows"])
    absent = [
        f"{column['name']} ({(column['missing'] + column['null'] + column['empty']) / total:.0%})"
        for column in found["columns"]
        if column["missing"] + column["null"] + column["empty"] >= _EMPTY * total
    ]
    if absent:
        more = f" and {len(absent) - _COLUMNS_NAMED} more" if len(absent) > _COLUMNS_NAMED else ""
        sentences.append(f"columns without a value in most rows: {', '.join(absent[:_COLUMNS_NAMED])}{more}")
    mixed = [column["name"] for column in found["columns"] if _is_mixed(column["types"])]
    if mixed:
        sentences.append(f"columns with values of several types: {', '.join(mixed[:_COLUMNS_NAMED])}")
    return sentences


def _is_mixed(types: Mapping[str, int]) -> bool:
    return len(set(types) - {"integer"} if {"integer", "number"} <= types.keys() else types) > 1
