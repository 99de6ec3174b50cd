"""Catching what native libraries write past Python, so that standard error stays for what the user has to know."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def caught(lines: list[str]) -> Iterator[None]:
    """Within the block, what goes to standard error, or is printed by Python, is kept from the user.

    Standard error belongs to the whole process, so what other threads write meanwhile goes the same way: keep
    the block short.

    Args:
        lines: Where the lines are put when the block ends, also when it ends by an exception.
    """
    printed = io.StringIO()
    with tempfile.TemporaryFile() as file:
        try:
            with _errors_to(file.fileno()), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                yield
        finally:
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines() + printed.getvalue().splitlines()


@contextlib.contextmanager
def _errors_to(file: int) -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed: there is nothing to keep clean
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
