"""A Report in, text out: nothing here computes a number but budgets.py, which divides those of two reports."""
