"""What a step of data imports and reads when it runs: a server that has imported this forks its workers with it.

It is 0.9 s of a core: the stages, pandas (pyarrow imports it for the first array), and the model of the languages.
"""

import pyarrow as pa

from burnish.data.filters.language import language_of
from burnish.stages.data import clean, fetch, prepare, synthesize

STAGES = (clean, fetch, prepare, synthesize)

pa.array([""])
language_of("This is a text in English.")
