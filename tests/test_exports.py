"""What PyTorch's exporters write of networks with nn.PReLU: every form that applies computes the same."""

import functools
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx_prelu
from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten
from tests.texts import feeds

FOLDER = Path(__file__).parent / "fixtures" / "exports"
FILES = sorted(FOLDER.glob("*.onnx"))

EXPORTERS = ("dynamo", "torchscript")

#: How many PReLUs each network has, and how many stand between linear layers: in Conv-TasNet norms and sums are around.
SITES = {"convtasnet": (5, 0), "fsrcnn": (5, 5), "iresnet": (4, 4), "srvgg": (3, 3)}


@functools.cache
def networks():
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnxscript", reason="torch's exporters need onnxscript, which is not installed")
    from tests.fixtures.exports import networks

    return networks


def assert_every_form_applies(model, name):
    sites = onnx_prelu.inspect(model).sites
    prelus, between_layers = SITES[name]
    assert len(sites) == prelus
    assert all(len(site.possible) >= 2 for site in sites)
    assert sum("split" in site.possible for site in sites) == between_layers
    x = feeds(model)
    expected = run(model, x)
    for form in sorted({form for site in sites for form in site.possible} - {"prelu", "relu", "identity"}):
        result, choices = rewritten(model, form=form)
        assert [choice.form for choice in choices] == [form if form in site.possible else "mirror" for site in sites]
        exact = {choice.exactness for choice in choices} == {"equal bits"}
        (assert_same_bits if exact else assert_close)(expected, run(result, x))
        assert not any(node.op_type == "PRelu" for node in result.graph.node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_form_that_applies_to_an_exported_network_is_right(path):
    assert_every_form_applies(onnx.load(path), path.stem.split("_")[0])


def test_there_is_a_file_of_each_network_and_exporter():
    assert {path.stem for path in FILES} == {f"{name}_{exporter}" for name in SITES for exporter in EXPORTERS}


@pytest.mark.torch
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", SITES)
def test_every_form_that_applies_is_right_with_the_installed_torch(name, exporter):
    model = networks().export(name, exporter)
    x = feeds(model)
    (batch,) = x.values()
    np.testing.assert_allclose(run(model, x)[0], networks().expected(name, batch), rtol=1e-4, atol=1e-5)
    assert_every_form_applies(model, name)
