"""From a rewrite to its certificate, and from a certificate to what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from ..errors import BadUsage, NotMet
from ..graph.external import inlined
from ..graph.model import Model
from ..remake import Remade
from .verify import Failed
from .verify import verify as verified
from .write import write


def require_certifiable(*, fix_slopes: bool, freeze: bool) -> None:
    """Refuse requests that change the model before it is rewritten.

    Raises:
        BadUsage: One does.
    """
    if fix_slopes or freeze:
        raise BadUsage(
            "a certificate is of the model as it is stored, and slopes or inputs would change first",
            where="--certificate",
            todo="leave out --fix-slopes and --freeze, or apply them in a rewrite of their own",
        )


def certified(model: Model, made: Remade) -> dict[str, Any]:
    """The certificate of a rewrite, verified (docs/certificate.md).

    Raises:
        NotMet: Something in it is not covered; the message names it.
    """
    if made.layout:
        raise NotMet(
            "the certificate does not cover layout rules, and some were applied",
            where="--certificate",
            todo="add --no-layout, or leave --certificate out",
        )
    return write(_whole(model), made.draft, made.plans, _whole(made.result))


def verdict(certificate: Mapping[str, Any], a: Model, b: Model) -> str:
    """Say "exact" or "within k ulp" where a certificate holds of two models.

    Raises:
        NotMet: It does not hold; the message names the site, the node or the unit.
    """
    try:
        return verified(dict(certificate), _whole(a), _whole(b))
    except Failed as failed:
        raise NotMet(f"the certificate does not hold: {failed}", where=b.name) from None


def _whole(model: Model) -> onnx.ModelProto:
    return inlined(model.proto, model.folder)
