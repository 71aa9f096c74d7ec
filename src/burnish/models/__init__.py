"""Models on disk and in memory: loaded, changed by adapters, merged, and used to generate text."""

import logging

# PEFT imports bitsandbytes, which warns of a missing kernel for weights that it repacks; burnish lets it repack none
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
