"""What a model is fed: sizes, types, values of both signs, or the user's own data."""
