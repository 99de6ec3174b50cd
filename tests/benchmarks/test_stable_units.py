"""The table of proven units: what it counts is what stands in the network."""

import numpy as np
import pytest

from benchmarks.stable import Case, digits, measured, written
from tests.texts import from_text

WEIGHTS = {"A": np.eye(3), "b": np.array([-2.0, 2.0, 0.0]), "V": (3, 2)}


def test_a_row_for_each_way():
    model = from_text("z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", "float[N,3] x", "float[N,2] y", WEIGHTS)
    rows = list(measured(Case("small", model, {"x": (-1.0, 1.0)})))
    assert [(*row[:5], row[6]) for row in rows] == [
        ("small", tier, "3", "1", "1", "18 → 12") for tier in ("interval", "symbolic", "bisect")
    ]
    assert "| small | interval | 3 | 1 | 1 |" in "\n".join(written(rows))


def test_the_digits_network_learns():
    pytest.importorskip("sklearn")
    model, right = digits(0, epochs=4)
    assert right > 0.8
    assert [tuple(t.dims) for t in model.graph.initializer][:2] == [(64, 100), (100,)]
