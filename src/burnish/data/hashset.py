"""A set of 64-bit hashes in about 13 to 27 bytes each, to find equal rows in files larger than memory.

A Python set takes 60 or more. Among n rows some two share a hash by chance with probability n²/2⁶⁵: 3 in a million
for 10 million rows.
"""

from array import array


class HashSet:
    """Open addressing with linear probing (Knuth 6.4); it grows to twice the size when three fifths full."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, value: int) -> bool:
        return self._slots[self._slot(value or 1)] != 0

    def add(self, value: int) -> bool:
        """Add a hash of 0 to 2⁶⁴-1; True when it was not there yet. 0, which marks a free slot, counts as 1."""
        value = value or 1
        slot = self._slot(value)
        if self._slots[slot]:
            return False
        self._slots[slot] = value
        self._count += 1
        if self._count * 5 > len(self._slots) * 3:
            self._grow()
        return True

    def _slot(self, value: int) -> int:
        """Where the value stands, or the free slot where it belongs."""
        slots, mask = self._slots, len(self._slots) - 1
        slot = value & mask
        while (there := slots[slot]) and there != value:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
        for value in old:
            if value:
                self._slots[self._slot(value)] = value
