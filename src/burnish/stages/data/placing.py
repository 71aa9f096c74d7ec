"""Where the rows go that prepare keeps: into the statistics, a split, and the files of the dataset."""

from array import array

from burnish.data.dataset import DatasetWriter
from burnish.data.mixture import Kept
from burnish.data.profile import Profile
from burnish.data.splits.split import SPLITS, Splitter


class Placement:
    """Places rows one by one; those whose split depends on later rows wait until `finish`."""

    def __init__(self, splitter: Splitter, writer: DatasetWriter, profile: Profile):
        self._splitter, self._writer, self._profile = splitter, writer, profile
        self.order = {split: array("q") for split in SPLITS}
        """The numbers of the kept tokens of each split's rows, in their order."""
        self.trained = array("q")
        """The ordinals of the training rows that come from a pool."""

    def add(self, kept: Kept) -> None:
        """Count a row, and write it into its split as soon as that is known."""
        self._count(kept)
        note = [kept.ordinal, kept.number, *kept.length]
        if split := self._splitter.place(kept.row, kept.split, note):
            self._write(kept, split)

    def finish(self) -> None:
        """Write the rows that wait; to be called once, after the last row."""
        for row, split, (ordinal, number, *length) in self._splitter.waiting():
            self._write(Kept(row, length=length, number=number, ordinal=ordinal), split)

    def repeat(self, kept: Kept) -> None:
        """Write a training row once more."""
        self._count(kept)
        self._write(kept, "train")

    def _count(self, kept: Kept) -> None:
        tokens, learned = kept.length or (None, 0)
        self._profile.add(kept.row, tokens, learned, remarks=kept.remarks)

    def _write(self, kept: Kept, split: str) -> None:
        tokens, learned = kept.length or (0, 0)
        self._writer.write(kept.row, split, tokens, learned)
        self.order[split].append(kept.number)
        if split == "train" and kept.ordinal >= 0:
            self.trained.append(kept.ordinal)
