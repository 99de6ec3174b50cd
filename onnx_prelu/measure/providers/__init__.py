"""Where a model runs: providers by name, without silent fallback."""
