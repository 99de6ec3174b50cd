"""The reference networks by name, at the sizes that are measured: 2 to 60 ms a run on one core."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx

from benchmarks.networks.dense import mlp_gemm, mlp_matmul
from benchmarks.networks.faces import iresnet18, mobilefacenet, mtcnn_o, mtcnn_p, mtcnn_r
from benchmarks.networks.images import fsrcnn, srvgg
from benchmarks.networks.net import Activation
from benchmarks.networks.sound import conv_tasnet

Build = Callable[[Activation], onnx.ModelProto]

REFERENCE: dict[str, Build] = {
    "srvgg-64": partial(srvgg, channels=64, convs=16, size=48),
    "srvgg-24": partial(srvgg, channels=24, convs=16, size=96),
    "iresnet-18": iresnet18,
    "fsrcnn": partial(fsrcnn, size=96),
    "mtcnn-p": partial(mtcnn_p, height=144, width=192),
    "mtcnn-r": partial(mtcnn_r, batch=16),
    "mtcnn-o": partial(mtcnn_o, batch=8),
    "mobilefacenet": mobilefacenet,
    "conv-tasnet": partial(conv_tasnet, norm="folded", samples=8000),
    "conv-tasnet-gln": partial(conv_tasnet, norm="global", samples=8000),
    "mlp-gemm": partial(mlp_gemm, layers=4, width=320, batch=512),
    "mlp-matmul": partial(mlp_matmul, layers=5, width=192, batch=256),
}
