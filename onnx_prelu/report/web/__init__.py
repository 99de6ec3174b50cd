"""A report as one page for a browser: nothing is loaded, and nothing runs in it."""
