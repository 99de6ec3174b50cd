"""A certificate of a rewrite: written by write.py, and replayed by verify.py from the two models alone."""
