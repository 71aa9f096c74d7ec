"""Settings of `synthesize`: a generator of rows, each kind in its file."""

from burnish.specs.base import Spec
from burnish.specs.data.synthesize.pocket import PocketSpec as PocketSpec


class SynthesizeSpec(Spec):
    """Generate synthetic rows."""

    generator: PocketSpec = PocketSpec()
    """The generator of the rows."""
