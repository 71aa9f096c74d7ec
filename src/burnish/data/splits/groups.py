"""Groups of 64-bit keys that are joined (a disjoint-set forest), in 30 to 67 bytes a key."""

from array import array


class Groups:
    """Each key has a depth; the root of a group is its key of the least depth. A key never joined stands alone."""

    def __init__(self) -> None:
        self._count = 0
        self._resize(1024)

    def find(self, key: int) -> int:
        """The root of a key's group. 0, which marks a free slot, counts as 1."""
        key = key or 1
        slot, passed = self._slot(key), list[int]()
        if not self._keys[slot]:
            return key
        while self._parents[slot] != self._keys[slot]:
            passed.append(slot)
            slot = self._slot(self._parents[slot])
        for behind in passed:
            self._parents[behind] = self._keys[slot]
        return self._keys[slot]

    def join(self, members: list[tuple[int, int]]) -> None:
        """Make one group of keys, given as (key, depth)."""
        for key, depth in members:
            self._add(key or 1, depth)
        roots = [self._slot(self.find(key)) for key, _ in members]
        best = min(roots, key=lambda slot: (self._depths[slot], self._keys[slot]))
        for slot in roots:
            self._parents[slot] = self._keys[best]

    def _add(self, key: int, depth: int) -> None:
        if self._count * 5 > len(self._keys) * 3:
            self._resize(2 * len(self._keys))
        slot = self._slot(key)
        if not self._keys[slot]:
            self._keys[slot], self._parents[slot], self._depths[slot] = key, key, depth
            self._count += 1

    def _slot(self, key: int) -> int:
        """Where the key stands, or the free slot where it belongs."""
        keys, mask = self._keys, len(self._keys) - 1
        slot = key & mask
        while (there := keys[slot]) and there != key:
            slot = (slot + 1) & mask
        return slot

    def _resize(self, size: int) -> None:
        old = list(zip(self._keys, self._parents, self._depths, strict=True)) if self._count else []
        self._keys, self._parents, self._depths = array("Q", bytes(8 * size)), array("Q", bytes(8 * size)), array("I")
        self._depths.frombytes(bytes(self._depths.itemsize * size))
        for key, parent, depth in old:
            if key:
                slot = self._slot(key)
                self._keys[slot], self._parents[slot], self._depths[slot] = key, parent, depth
