"""How users name sites: an exact name means that site alone, anything else is a glob."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Sequence

from ..errors import BadUsage


def matches(patterns: Iterable[str], names: Sequence[str], known: Collection[str]) -> bool:
    """True if a site is meant.

    Args:
        patterns: What the user gave.
        names: The names that the site has.
        known: All names that sites have: a pattern among them means that name alone.
    """
    return any(
        pattern in names if pattern in known else any(fnmatch.fnmatchcase(name, pattern) for name in names)
        for pattern in patterns
    )


def require_match(option: str, pattern: str, names: Sequence[str], known: Collection[str]) -> None:
    """Refuse a pattern that means no site.

    Args:
        option: What the user wrote, up to the pattern.
        pattern: The pattern.
        names: All names that sites have, in order.
        known: The same, for looking up.

    Raises:
        BadUsage: It matches none of them.
    """
    if not matches((pattern,), names, known):
        sites = ", ".join(dict.fromkeys(names)) or "none"
        raise BadUsage(f"{option} {pattern} matches no site", todo=f"the sites are: {sites}"[:300])
