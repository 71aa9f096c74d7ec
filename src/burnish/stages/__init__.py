"""One module for each stage, in one folder for each family of specs: `run(spec, ctx) -> Outcome`."""
