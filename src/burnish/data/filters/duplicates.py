"""Drops rows that were seen before, by 64-bit hashes, and counts those that differ only in unmapped columns."""

import hashlib
from collections import Counter

from burnish.data.document import Row, canonical_json
from burnish.data.hashset import HashSet

_COLUMNS_COUNTED = 20


class Duplicates:
    """Drop a row that is equal to an earlier one in all columns that are kept, or in what a model sees of it.

    A row's source and tag are not compared.
    """

    def __init__(self, content_only: bool = False) -> None:
        self._content_only = content_only
        self._seen = HashSet()
        self.differing: Counter[str] = Counter()
        """Columns of rows that an earlier one equals in content, but not in these; "" counts the rows."""

    def __call__(self, row: Row) -> str:
        content, extra = int(row["id"], 16), row.get("extra", {})
        encoded = f"whole:{row['id']}:".encode() + canonical_json(extra)
        is_new = self._seen.add(int.from_bytes(hashlib.sha256(encoded).digest()[:8], "big"))
        is_new_content = self._seen.add(content)
        if not is_new:
            return "duplicate"
        if is_new_content:
            return ""
        self.differing.update(["", *list(extra)[:_COLUMNS_COUNTED]])
        return "duplicate except for unmapped columns" if self._content_only else ""

    def message(self) -> str:
        """A message about rows of equal content; empty without any."""
        columns = ", ".join(name for name, _ in self.differing.most_common(5) if name)
        if not self.differing:
            return ""
        rows = f"{self.differing['']:,} rows equal an earlier one except for unmapped columns ({columns})"
        if self._content_only:
            return f"{rows}: dropped by deduplicate: content"
        return f"{rows}: they are kept; deduplicate: content drops them"
