"""How far rounding alone can carry the outputs of a model: the reason behind a tolerance."""
