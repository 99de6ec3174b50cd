"""An activation that a MaxPool reads, and nothing else: what pool, poolsplit and ext0 begin with.

A MaxPool picks values and fills its borders with −inf, so it commutes with whatever is monotone, as long as every
window holds a value to pick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from ...algebra.floats import Array
from ...algebra.lanes import Lanes
from ...errors import Refused
from ...graph.draft import Draft, NewConstant
from ...graph.edit import rewired
from ...graph.index import Node
from ...graph.linear import Linear
from ...graph.types import TensorType
from ..behind import Behind, Nodes
from ..sites import Site
from ..wide import Layers, layers_around, refuse_overflow

BLOCK = 16
"""Channels that ONNX Runtime keeps together in its blocked layout, with AVX-512; blocks of 8 divide it."""


def max_pool(draft: Draft, site: Site) -> Node:
    """The MaxPool that alone reads a site.

    Raises:
        Refused: ``graph-output``, ``no-consumer``; ``not-pooled``: something else reads it, or the MaxPool tells where
            its values stood; ``pool-window``: a window may hold nothing but padding; ``opset``.
    """
    label, uses = site.node.label, list(draft.index.uses(site.y))
    if draft.opset < 7:
        text = "before opset 7 a constant broadcasts along an axis that an attribute names"
        raise Refused("opset", text, label)
    if site.y in draft.index.outputs:
        raise Refused("graph-output", f"the activation '{site.y}' is an output of the graph", label)
    if not uses:
        raise Refused("no-consumer", f"nothing reads '{site.y}'", label)
    other = next((use.node for use in uses if use.node.op != "MaxPool"), None)
    if other is not None:
        raise Refused("not-pooled", f"the activation is read by {other.op}, and not by a MaxPool alone", other.label)
    if len(uses) > 1:
        raise Refused("not-pooled", f"{len(uses)} MaxPools read the activation", uses[1].node.label)
    node = uses[0].node
    if any(node.outputs[1:]):
        raise Refused("not-pooled", "the MaxPool also gives the indices of its values", node.label)
    if not _every_window_holds_a_value(_attributes(node)):
        text = "a window of the MaxPool may hold nothing but padding, of which there is no activation to take"
        raise Refused("pool-window", text, node.label)
    return node


def channel_axis(pool: Node) -> int:
    """The axis of the channels, counted from the end."""
    return -1 - len(_attributes(pool)["kernel_shape"])


def slopes_by_channel(site: Site, pool: Node) -> Array:
    """The slope of each channel, or one for all: float64 (C,) or (1,).

    Raises:
        Refused: ``runtime-slope``; ``slope-not-per-unit``: it varies within the windows.
    """
    slope = site.slope.shrunk()
    units = 1 if slope.value is None else slope.value.size
    return slope.per_unit(units, channel_axis(pool), site.node.label)


def pooled_types(draft: Draft, tensor: str, like: str, channels: int | None = None) -> dict[str, TensorType]:
    """What is known of a new tensor that is like another one, but for how many channels it may have."""
    known = draft.types.get(like)
    if known is not None and known.shape is not None and channels is not None:
        known = replace(known, shape=(known.shape[0], channels, *known.shape[2:]))
    return {} if known is None else {tensor: known}


def layers_around_pool(draft: Draft, site: Site, pool: Node) -> Layers:
    """The layer before a site and all that reads its MaxPool, none of them grouped, for channels that change places.

    Raises:
        Refused: ``between-not-linear``: its windows lie over the units; ``group-layout``, or what
            :func:`~onnx_prelu.passes.wide.layers_around` refuses.
    """
    layers = layers_around(draft, site.x, pool.outputs[0], site.region, pool)
    if layers.before.output.axis != channel_axis(pool):
        raise Refused("between-not-linear", "the MaxPool mixes units, which are not its channels here", pool.label)
    for layer in (layers.before, *(reading.layer for reading in layers.after.layers)):
        if layer.groups > 1:
            node = layer.nodes[0]
            raise Refused(
                "group-layout", f"the {node.op} has groups, and its channels cannot change places", node.label
            )
    return layers


@dataclass(frozen=True)
class Part:
    """A layer that was written again with other rows.

    Attributes:
        nodes: Its nodes.
        y: The tensor that they make.
    """

    nodes: Nodes
    y: str


def written_again(behind: Behind, layer: Linear, lanes: Lanes, suffix: str) -> Part:
    """A layer with lanes for units: new nodes, of new names, with constants of their own.

    Raises:
        Refused: ``overflow``.
    """
    changes = list(layer.take_rows(lanes))
    named = {change: behind.names.new(change.node.inputs[change.position], suffix) for change in changes}
    for change, name in named.items():
        refuse_overflow(change)
        behind.constants[name] = NewConstant(change.weight, change.node.inputs[change.position])
    rename = {node.outputs[0]: behind.names.new(node.outputs[0], suffix) for node in layer.nodes}
    nodes = tuple(renamed(behind, node, rewired(node, changes, named, rename), suffix) for node in layer.nodes)
    return Part(nodes, rename[layer.y])


def pooled_again(behind: Behind, pool: Node, x: str, y: str, suffix: str) -> onnx.NodeProto:
    """The MaxPool between two other tensors."""
    return renamed(behind, pool, rewired(pool, (), {}, {pool.inputs[0]: x, pool.outputs[0]: y}), suffix)


def renamed(behind: Behind, node: Node, proto: onnx.NodeProto, suffix: str) -> onnx.NodeProto:
    """A node's copy under a new name."""
    proto.name = behind.names.new(node.name, suffix)
    return proto


def _attributes(node: Node) -> Mapping[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.proto.attribute}


def _every_window_holds_a_value(attributes: Mapping[str, Any]) -> bool:
    """Whether no window of a MaxPool lies in the padding as a whole, whatever the size of what it reads.

    A window begins at ``i * stride - begin``. The last one begins before the end of the data where the padding there,
    and with ceil_mode what rounding up adds, is less than the window's length; the first one ends behind the begin of
    the data where that padding is less than it. With gaps between its taps a window could step over the data.
    """
    kernel = np.asarray(attributes["kernel_shape"])
    rank = len(kernel)
    strides = np.asarray(attributes.get("strides", [1] * rank))
    dilations = np.asarray(attributes.get("dilations", [1] * rank))
    auto = attributes.get("auto_pad", b"NOTSET")
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        return bool(np.all(dilations == 1))  # these pad by less than a window
    pads = np.asarray(attributes.get("pads", [0] * 2 * rank)) * (auto != b"VALID")
    begins, ends = pads[:rank], pads[rank:]
    length = (kernel - 1) * dilations + 1
    rounded = strides - 1 if attributes.get("ceil_mode", 0) else 0
    gaps = (dilations > 1) & ((begins > 0) | (ends + rounded > 0))
    return bool(np.all(begins < length) and np.all(ends + rounded < length) and not np.any(gaps))
