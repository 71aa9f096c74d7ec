"""Logs of programs: lines that begin with a time or an address."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts import characters
from burnish.data.texts.block import Block

_LEAST_LINES, _LEAST_DIGITS = 5, 0.08
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d{1,2}:\d\d:\d\d"
_LOG_LINE = re.compile(
    rf"""\s*(?:\S{{1,40}}[ \t]+){{0,4}}[\[("]?(?:
      \d{{4}}[-/.]\d\d[-/.]\d\d[T \t]{_CLOCK}      # 2023-11-05 10:11:12
    | \d{{1,2}}/{_MONTH}/\d{{4}}:{_CLOCK}          # 05/Nov/2023:10:11:12
    | {_MONTH}[ ]+\d{{1,2}}[ ](?:\d{{4}}[ ])?{_CLOCK}  # Nov  5 10:11:12
    | \d\d[-/]\d\d[ T]{_CLOCK}                     # 11-05 10:11:12
    | {_CLOCK}[.,]\d{{3}}\b                        # 10:11:12.345
    )
    | \s*\[\s*\d+\.\d{{3,9}}\]                     # [   12.345678]
    | \s*\{{.{{0,200}}"(?:ts|time|timestamp|@timestamp|level|severity)"\s*:.*\}}\s*$
    | \s*(?:TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL)\b\s*[:\[(|-]
    | \s*\d{{1,3}}(?:\.\d{{1,3}}){{3}}[ ]\S+[ ]\S+[ ]\[""",
    re.VERBOSE,
)
_LINE_START = 300


@dataclass(frozen=True)
class Logs:
    """Drop texts of five or more lines of which more than this share are lines of a log.

    Only texts with many digits are looked at line by line.
    """

    max_share: float

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        digits = block.count(block.properties, characters.DIGIT)
        is_likely = (block.lines.counts >= _LEAST_LINES) & (digits > _LEAST_DIGITS * block.visible)
        found = np.zeros(len(block), bool)
        for i in np.flatnonzero(is_likely).tolist():
            lines = [line for line in block.texts[i].split("\n") if line and not line.isspace()]
            hits = sum(_LOG_LINE.match(line[:_LINE_START]) is not None for line in lines)
            found[i] = len(lines) >= _LEAST_LINES and hits > self.max_share * len(lines)
        return {"mostly lines of a log": found}
