"""A Report in, text out: nothing here computes a number."""
