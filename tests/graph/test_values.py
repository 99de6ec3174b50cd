from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from onnx_prelu.errors import BadInput
from onnx_prelu.graph.model import array

# Bit patterns with their values by the formats' definitions, worked out by hand.
BITS = [
    ("BFLOAT16", ml_dtypes.bfloat16, 2, [0x3FC0, 0x8000, 0x0001, 0xC2F7], [1.5, -0.0, 2.0**-133, -123.5]),
    ("FLOAT8E4M3FN", ml_dtypes.float8_e4m3fn, 1, [0x38, 0x80, 0x01, 0x7E], [1.0, -0.0, 2.0**-9, 448.0]),
    ("FLOAT8E4M3FNUZ", ml_dtypes.float8_e4m3fnuz, 1, [0x40, 0x01, 0xC0], [1.0, 2.0**-10, -1.0]),
    ("FLOAT8E5M2", ml_dtypes.float8_e5m2, 1, [0x3C, 0x80, 0x01, 0x7B], [1.0, -0.0, 2.0**-16, 57344.0]),
    ("FLOAT8E5M2FNUZ", ml_dtypes.float8_e5m2fnuz, 1, [0x40, 0x01, 0xC0], [1.0, 2.0**-17, -1.0]),
]


def _stored(kind: str, name: str, size: int, bits: list[int], folder: Path) -> TensorProto:
    tensor = TensorProto(name="w", data_type=getattr(TensorProto, name), dims=[1, len(bits)])
    raw = b"".join(value.to_bytes(size, "little") for value in bits)
    if kind == "typed":
        tensor.int32_data.extend(bits)
    elif kind == "raw":
        tensor.raw_data = raw
    else:
        (folder / "w.data").write_bytes(b"\xff" * 7 + raw + b"\xff")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "w.data"), ("offset", "7"), ("length", str(len(raw)))):
            tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize("kind", ["typed", "raw", "external"])
@pytest.mark.parametrize(("name", "dtype", "size", "bits", "values"), BITS)
def test_narrow_floats_keep_type_and_bits(kind, name, dtype, size, bits, values, tmp_path):
    tensor = _stored(kind, name, size, bits, tmp_path)
    before = tensor.SerializeToString()
    value = array(tensor, tmp_path)
    assert value.dtype == np.dtype(dtype)
    assert value.shape == (1, len(bits))
    assert value.astype(np.float64).ravel().tolist() == values
    assert np.signbit(value.astype(np.float64)).ravel().tolist() == np.signbit(values).tolist()
    assert tensor.SerializeToString() == before


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint16", "int64", "bool", "complex64"])
@pytest.mark.parametrize("external", [False, True])
def test_other_types(dtype, external, tmp_path):
    expected = np.array([[0, 1, 2], [3, 0, 5]]).astype(dtype)
    tensor = numpy_helper.from_array(expected, "w")
    if external:
        (tmp_path / "w.data").write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.data")
    value = array(tensor, tmp_path)
    assert value.dtype == expected.dtype
    assert value.tolist() == expected.tolist()


def test_strings():
    tensor = onnx.helper.make_tensor("w", TensorProto.STRING, [2], [b"a", "ü".encode()])
    assert array(tensor, None).tolist() == ["a", "ü"]


BROKEN = {
    "too few bytes": TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], raw_data=b"1234"),
    "too many bytes": TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], raw_data=b"1234" * 3),
    "half a value": TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], raw_data=b"1234567"),
    "too few values": TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], float_data=[1.0]),
    "too few bfloat16": TensorProto(name="w", data_type=TensorProto.BFLOAT16, dims=[2], raw_data=b"12"),
    "no type": TensorProto(name="w", dims=[1], raw_data=b"1234"),
    "an unknown type": TensorProto(name="w", data_type=12345, dims=[1], raw_data=b"1234"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_data_that_do_not_fit_name_the_tensor(name):
    with pytest.raises(BadInput, match=r"^tensor 'w': its data do not fit its type and shape"):
        array(BROKEN[name], None)
