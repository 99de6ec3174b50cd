"""What can go wrong, as a small tree of exceptions that print as one line and know their exit code.

Every message says what is wrong, where, and what to do next, so that the command line can print ``str(error)``
and stop. A :class:`Refused` is not an error of the user's: it is how a form says that it does not apply at a
site, and it never leaves the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


class OnnxPreluError(Exception):
    """Base of all errors that this package raises on purpose.

    Args:
        what: What is wrong, in one sentence without a full stop.
        where: The file, node or option that it is about.
        todo: What the reader can do next.

    >>> str(BadInput("the file is empty", where="net.onnx", todo="export the model again"))
    'net.onnx: the file is empty; export the model again'
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None) -> None:
        self.what, self.where, self.todo = what, where, todo
        line = f"{where}: {what}" if where else what
        super().__init__(" ".join(f"{line}; {todo}".split()) if todo else " ".join(line.split()))


class BadInput(OnnxPreluError):
    """A model, data file or value that cannot be read or does not make sense (exit code 2)."""


class BadUsage(OnnxPreluError):
    """A request that contradicts itself or names what is not there (exit code 2)."""


class NotMet(OnnxPreluError):
    """The request could not be met: ``--strict``, a budget, a target (exit code 1).

    Attributes:
        report: What was found out before the request failed, or None.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None, report: Any = None) -> None:
        super().__init__(what, where=where, todo=todo)
        self.report = report


class CheckFailed(NotMet):
    """The rewritten model does not compute what the original computes (exit code 1)."""


class ProviderNotRun(NotMet):
    """A required execution provider could not run (exit code 3)."""

    exit_code = 3


@dataclass(frozen=True)
class Reason:
    """Why a form does not apply at a site.

    Attributes:
        code: A short stable name, for programs and tests: ``"shared-producer"``.
        text: The sentence for people, with what to do about it.
        node: The node that stands in the way (not always the activation itself).
    """

    code: str
    text: str
    node: str


class Refused(Exception):
    """Raised by a form that does not apply; planning turns it into the :class:`Reason` it carries.

    >>> Refused("shared-producer", "z is also read by 'add1'", "gemm0").reason.code
    'shared-producer'
    """

    def __init__(self, code: str, text: str, node: str = "") -> None:
        super().__init__(text)
        self.reason = Reason(code, text, node)

    def at(self, node: str) -> Refused:
        """The same refusal with its node filled in, for rules that do not know where they are applied."""
        return self if self.reason.node else Refused(self.reason.code, self.reason.text, node)
