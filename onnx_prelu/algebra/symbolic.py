"""Bounds along a chain of linear layers and PReLUs that keep in mind what its units have in common.

An interval forgets that two units read the same inputs. Here each unit of a layer is bounded by a linear function of
the layer before, and that by one of the layer before it, down to the inputs, whose box then bounds the whole (CROWN:
Zhang et al., Efficient Neural Network Robustness Certification with General Activation Functions, 2018). Between the
ends of an interval [l, u] around 0, PReLU lies on one side of the chord through its ends, and on the other of a line
through 0.

What is computed at each layer is the real value plus something within the allowance of :mod:`bounds`; it is carried
along as one more input. The float64 arithmetic here is held to account at the end: its roundings are at most γ of the
sum of the absolute values of all terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .bounds import OWN, Box, Rounding, Rows, activated, bounded, gamma
from .floats import Array


@dataclass(frozen=True)
class Layer:
    """A linear layer of a chain, with the activation behind it.

    Attributes:
        rows: Its rows, with one weight an input.
        slope: (units,) the slopes of the PReLU behind it: 0 for Relu, 1 where there is none. Those of the last layer of
            a chain are not looked at.
    """

    rows: Rows
    slope: Array


@dataclass(frozen=True)
class Link:
    """A layer of a chain, and what is known of its z.

    Attributes:
        layer: The layer.
        z: Bounds of what is computed for z, (units,) or (batch, units).
        allowed: By how much that may differ from the real z of the inputs that were computed.
        size: The sum of the absolute values of the terms of z.
    """

    layer: Layer
    z: Box
    allowed: Array
    size: Array


@dataclass(frozen=True)
class Chain:
    """Layers that follow each other, first to last.

    Attributes:
        x: What the first one reads, (inputs,) or (batch, inputs); a batch is one of boxes.
        rounding: How the type rounds that they compute in.
        links: The layers.
    """

    x: Box
    rounding: Rounding
    links: tuple[Link, ...] = ()

    def then(self, layer: Layer) -> Chain:
        """The chain with a layer more; its z is bounded never wider than by intervals."""
        inputs = self.x
        if self.links:
            inputs = activated(self.links[-1].z, self.links[-1].layer.slope, self.rounding)
        z, allowed = bounded(layer.rows, inputs, self.rounding)
        if not (self.x.finite and z.finite):
            return replace(self, links=(*self.links, Link(layer, z, allowed, allowed)))
        size = inputs.magnitude @ np.abs(layer.rows.matrix).T + layer.rows.shifted
        links = (*self.links, Link(layer, z, allowed, size))
        if self.links:
            links = (*self.links, replace(links[-1], z=z.within(_back(links, self.x, self.rounding))))
        return replace(self, links=links)


def symbolic(layers: Sequence[Layer], x: Box, rounding: Rounding) -> Box:
    """Bounds of what is computed for z of the last of some layers, (units,) or (batch, units)."""
    chain = Chain(x, rounding)
    for layer in layers:
        chain = chain.then(layer)
    return chain.links[-1].z


def _back(links: Sequence[Link], x: Box, rounding: Rounding) -> Box:
    """Bounds of the last layer's z by substitution: those of z, and of −z, both from above."""
    last = links[-1].layer.rows
    batch = x.low.shape[:-1]
    matrix = np.concatenate([last.matrix, -last.matrix])
    factor = np.broadcast_to(matrix, (*batch, *matrix.shape))
    total = np.concatenate([last.shift, -last.shift]) + np.concatenate([links[-1].allowed] * 2, axis=-1)
    terms = np.concatenate([links[-1].size] * 2, axis=-1)
    steps = last.inputs + 8
    for known in links[-2::-1]:
        rows = known.layer.rows
        above, below, offset, sunk, noise = _lines(known.z, known.layer.slope, rounding)
        positive, negative = np.maximum(factor, 0), np.minimum(factor, 0)
        moved = _sum(positive, offset + noise) - _sum(negative, sunk + noise)
        factor = positive * above[..., None, :] + negative * below[..., None, :]
        size = np.abs(factor)
        total = total + moved + factor @ rows.shift + _sum(size, known.allowed)
        terms = terms + moved + _sum(size, known.size + known.z.magnitude + known.allowed)
        factor = factor @ rows.matrix
        steps += rows.inputs + 16
    end = _sum(np.maximum(factor, 0), x.high) + _sum(np.minimum(factor, 0), x.low)
    top = total + end + 2 * gamma(np.array(float(steps)), OWN) * (terms + np.abs(end))
    upper, lower = np.split(top, 2, axis=-1)
    return Box(-lower, upper)


def _lines(z: Box, slope: Array, rounding: Rounding) -> tuple[Array, Array, Array, Array, Array]:
    """Lines around PReLU on an interval: ``below·z − sunk <= h <= above·z + offset``, and the rounding of h itself."""
    crossing = (z.low < 0) & (z.high > 0)
    width = np.where(crossing, z.high - z.low, 1.0)
    chord = (z.high - slope * z.low) / width
    through = np.where(z.high >= -z.low, 1.0, slope)
    rise = z.high - chord * z.high  # what the chord lies above 0 at 0; below 0 where the slope is above 1
    lost = 16 * OWN * (1 + np.abs(slope)) * (z.high - z.low)
    side = np.where(z.low >= 0, 1.0, slope)
    above = np.where(crossing, np.where(slope <= 1, chord, through), side)
    below = np.where(crossing, np.where(slope <= 1, through, chord), side)
    offset = np.where(crossing & (slope <= 1), np.maximum(rise, 0) + lost, 0.0)
    sunk = np.where(crossing & (slope > 1), np.maximum(-rise, 0) + lost, 0.0)
    scaled = np.abs(slope) * np.maximum(-z.low, 0)
    noise = np.where(
        np.isin(slope, (-1.0, 0.0, 1.0)), 0.0, 3 * rounding.unit * scaled + 2 * rounding.tiny * (scaled > 0)
    )
    return above, below, offset, sunk, noise


def _sum(factor: Array, values: Array) -> Array:
    """Σ factor·values over the last axis, for each row."""
    return np.asarray((factor @ values[..., None])[..., 0])
