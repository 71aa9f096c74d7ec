"""One row or more of every layout that is taken in, and the canonical row that it becomes: {example: (row, expected)}.

The first word of an example's name is the format that it is detected as.
"""

from layouts.conversations import CONVERSATIONS
from layouts.judged import JUDGED
from layouts.pairs import PAIRS
from layouts.turns import Examples

EXAMPLES: Examples = CONVERSATIONS | PAIRS | JUDGED
