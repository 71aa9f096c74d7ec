"""Settings of the stages that write a model for other tools, and serve it."""

from burnish.specs.ship.export import ExportSpec as ExportSpec
from burnish.specs.ship.gguf import GgufSpec as GgufSpec
from burnish.specs.ship.quantize import QuantizeSpec as QuantizeSpec
from burnish.specs.ship.serve import ServeSpec as ServeSpec
