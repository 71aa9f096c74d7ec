"""Several sources mixed into one dataset: each is opened, and rows are chosen by content hash."""

from burnish.data.mixture.parts import Part as Part
from burnish.data.mixture.parts import named as named
from burnish.data.mixture.parts import open_part as open_part
from burnish.data.mixture.parts import open_prepared as open_prepared
from burnish.data.mixture.pool import Kept as Kept
from burnish.data.mixture.sampling import HashSampler as HashSampler
