"""Which form is likely to be the fastest at a site, without measuring: from the graph around it and the runtime.

ONNX Runtime's CPU provider keeps what runs between Convs in a blocked layout. There, Relu and LeakyRelu are fused into
the Conv before them, a Mul by one value a channel is a depthwise Conv, and an Add is the sum of one; PRelu, Max and Min
leave that layout. So, in this order (docs/fast.md has the measurements):

1. equal slopes: LeakyRelu;
2. only a MaxPool reads it: the pool first, for as many channels as can be;
3. 1x1 Convs read it that are cheap: their linear part merged into the layer before;
4. a depthwise Conv of stride 2 reads it: that Conv twice;
5. between Convs: two passes of depthwise Convs;
6. elsewhere: the forms that are exact, where the runtime's PRelu kernel is slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import Refused
from ..graph.draft import Draft
from ..graph.producer import producer
from ..graph.readers import readers
from .beside import units_behind
from .fast import comp, dwcat
from .fast.pooled import BLOCK
from .neighbours import maker_of, readers_of
from .sites import Site

Release = tuple[int, int]

FUSES_LEAKYRELU: Release = (1, 21)
"""Before it, LeakyRelu was as slow as PRelu is from 1.27 on."""

SCALES_IN_LAYOUT: Release = (1, 25)
"""From it on, a Mul by one value a channel stays in the blocked layout; before, ``skip`` is slower than PRelu."""

SLOW_PRELU: Release = (1, 27)
"""From it on, the PRelu kernel takes about 20 times as long on data of mixed signs."""

NARROW = 8
"""Up to so many channels, PRelu is the fastest between Convs where its kernel is not slow."""

SMALL = 512
"""Up to so many elements, a further node costs more than a slow kernel."""

IN_LAYOUT = frozenset(
    {
        "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Concat", "Add", "Sum", "Mul",
        "BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh",
    }
)  # fmt: skip
"""The ops that run in the blocked layout where what they read is in it."""

READS = IN_LAYOUT | {"Pad", "ConvTranspose", "Resize", "DepthToSpace"}
"""Those, and ops before which a chain of them still pays."""

CHEAP_LAYER = 27
"""Products a value of a layer that may be computed on two halves apart: a 3x3 Conv over 3 channels has so many."""

COMP_PAYS, DWCAT_PAYS = 16.0, 2.25
"""Up to so many products a value, see :func:`~.fast.comp.products` and :func:`~.fast.dwcat.products`."""

BETWEEN_CONVS: tuple[str, ...] = ("fold2", "gauge", "skip")
ELSEWHERE: tuple[str, ...] = ("max", "mirror-min", "mirror")


@dataclass(frozen=True)
class Runtime:
    """What a model will run on, as far as the fastest form depends on it.

    Attributes:
        release: ONNX Runtime's, as in (1, 26).
        provider: The provider's short name.
        dims: Sizes of dimensions that the model leaves open, by name; one that is not there counts as 1.
    """

    release: Release
    provider: str = "cpu"
    dims: Mapping[str, int] = field(default_factory=dict)


def likely(runtime: Runtime) -> Callable[[Draft, Site], tuple[str, ...]]:
    """The forms to try at a site, the likely fastest first; PRelu where nothing is likely to be faster."""
    return lambda draft, site: _likely(draft, site, runtime)


def _likely(draft: Draft, site: Site, runtime: Runtime) -> tuple[str, ...]:
    if runtime.provider != "cpu" or runtime.release < FUSES_LEAKYRELU:
        return ("prelu",)  # elsewhere PRelu is one pass like any other, and nothing but Relu is fused
    slow = runtime.release >= SLOW_PRELU and _elements(draft, site, runtime.dims) > SMALL
    inside = _in_layout(draft, site, runtime) if between_convs(draft, site) else ()
    return ("leakyrelu", *inside, *(ELSEWHERE if slow else ()), "prelu")


def _in_layout(draft: Draft, site: Site, runtime: Runtime) -> tuple[str, ...]:
    slow = runtime.release >= SLOW_PRELU
    pays = runtime.release >= SCALES_IN_LAYOUT and (slow or _channels(draft, site) > NARROW)
    first = ("gauge-conv",) if pays and _comes_from_outside(draft, site) else ()
    return (*_by_what_reads_it(draft, site), *first, *(BETWEEN_CONVS if pays else ()))


def _comes_from_outside(draft: Draft, site: Site) -> bool:
    """True if a sum is read of which one side has left the layout, and whole blocks of channels can be taken back."""
    maker = draft.index.maker.get(site.x)
    if maker is None or maker.op != "Add" or _channels(draft, site) % BLOCK:
        return False
    sides = [draft.index.maker.get(name) for name in maker.inputs]
    return any(side is not None and side.op not in IN_LAYOUT for side in sides)


def _by_what_reads_it(draft: Draft, site: Site) -> Iterator[str]:
    """Forms that work on less data, or in the Convs around, where these are cheap enough."""
    try:
        before = producer(draft, site.x)
    except Refused:
        return
    if {reader.op for reader in readers_of(draft, site.y)} == {"MaxPool"}:
        yield from ("pool", "ext0")
        if math.prod(before.weight.weight.shape) / before.units <= CHEAP_LAYER:
            yield from ("poolsplit", "poolsplit-padded")
        return
    try:
        _, after, _ = units_behind(draft, site, readers)
    except Refused:
        return
    layers = [reading.layer for reading in after.layers]
    if before.nodes[0].op == "Conv" and comp.products(before, layers) <= COMP_PAYS:
        yield "comp"
    depthwise = all(layer.groups == layer.inputs > 1 for layer in layers)
    if depthwise and not before.units % 4 and all(dwcat.products(layer) <= DWCAT_PAYS for layer in layers):
        yield "dwcat"


def between_convs(draft: Draft, site: Site) -> bool:
    """True if a site of rank 4 stands between ops that run in the blocked layout."""
    shape = draft.shape(site.x)
    if shape is None or len(shape) != 4:
        return False
    return maker_of(draft, site.x).op in IN_LAYOUT and any(reader.op in READS for reader in readers_of(draft, site.y))


def _channels(draft: Draft, site: Site) -> int:
    size = (draft.shape(site.x) or (None, None))[1]
    return size if isinstance(size, int) else 0


def _elements(draft: Draft, site: Site, dims: Mapping[str, int]) -> float:
    """How many elements a site has, as far as that is known."""
    sizes = draft.shape(site.x)
    if sizes is None:
        return math.inf
    return math.prod(size if isinstance(size, int) else dims.get(size or "", 1) for size in sizes)
