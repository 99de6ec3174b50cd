"""How users name sites: an exact name means that site alone, anything else is a glob."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from ..errors import BadUsage

ALSO: tuple[str, ...] = ("Abs",)
"""What ``--also`` takes."""


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


@dataclass(frozen=True)
class Scope:
    """Which sites the user means: exact names first, then globs.

    Attributes:
        only: Patterns of which a site has to match one; empty for all sites.
        skip: Patterns that exclude a site.
        also: Ops that count as PReLUs though they have a name of their own, of :data:`ALSO`.

    Raises:
        BadUsage: ``also`` names another op.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for op in self.also:
            if op not in ALSO:
                raise BadUsage(f"--also {op} is not known", todo=f"take one of {', '.join(ALSO)}")

    def among(self, names: Sequence[str]) -> Callable[[Sequence[str]], bool]:
        """A predicate that tells of a site, by its names, whether it is meant.

        Args:
            names: All names that sites have.

        Raises:
            BadUsage: A pattern matches none of them.
        """
        known = frozenset(names)
        for option, patterns in (("--only", self.only), ("--skip", self.skip)):
            for pattern in patterns:
                require_match(option, pattern, names, known)
        return lambda site: self.means(site, known)

    def means(self, site: Sequence[str], known: Collection[str]) -> bool:
        """True if a site is meant.

        Args:
            site: The names that the site has.
            known: All names that sites have.
        """
        return (not self.only or matches(self.only, site, known)) and not matches(self.skip, site, known)


EVERYWHERE = Scope()
"""All sites."""
