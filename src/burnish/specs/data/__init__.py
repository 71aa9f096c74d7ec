"""Settings of the data stages, a file for each stage."""

from burnish.specs.data.clean import CleanSpec as CleanSpec
from burnish.specs.data.clean import DecontaminateSpec as DecontaminateSpec
from burnish.specs.data.clean import NearDedupSpec as NearDedupSpec
from burnish.specs.data.fetch import FetchSpec as FetchSpec
from burnish.specs.data.filters import FiltersSpec as FiltersSpec
from burnish.specs.data.filters import LanguageSpec as LanguageSpec
from burnish.specs.data.filters import RewritingSpec as RewritingSpec
from burnish.specs.data.inspect import InspectSpec as InspectSpec
from burnish.specs.data.mixture import MixtureSpec as MixtureSpec
from burnish.specs.data.prepare import HeldOutSpec as HeldOutSpec
from burnish.specs.data.prepare import PrepareSpec as PrepareSpec
from burnish.specs.data.prepare import SplitSpec as SplitSpec
from burnish.specs.data.profile import ProfileSpec as ProfileSpec
from burnish.specs.data.sources import Encoding as Encoding
from burnish.specs.data.sources import Format as Format
from burnish.specs.data.sources import Role as Role
from burnish.specs.data.sources import SourceSpec as SourceSpec
from burnish.specs.data.sources import Subset as Subset
from burnish.specs.data.synthesize import DocsSource as DocsSource
from burnish.specs.data.synthesize import DocsSpec as DocsSpec
from burnish.specs.data.synthesize import FimTokensSpec as FimTokensSpec
from burnish.specs.data.synthesize import ModelSpec as ModelSpec
from burnish.specs.data.synthesize import PocketSpec as PocketSpec
from burnish.specs.data.synthesize import ScoringSpec as ScoringSpec
from burnish.specs.data.synthesize import SynthesizeSpec as SynthesizeSpec
