"""Exchange PReLU for ReLU, and ReLU for PReLU, in ONNX models; prove the exchange right and print its price.

>>> import onnx_prelu
>>> result = onnx_prelu.rewrite("models/digits_prelu_gemm.onnx")
>>> [site.form for site in result.report.sites], result.report.passed
(['split', 'split'], True)
"""

from .api import bench, check, diff, inspect, rewrite, verify
from .errors import BadInput, BadUsage, CheckFailed, NotMet, OnnxPreluError, ProviderNotRun
from .many import check_all
from .report.report import Report
from .rewritten import Rewrite

__all__ = [
    "BadInput",
    "BadUsage",
    "CheckFailed",
    "NotMet",
    "OnnxPreluError",
    "ProviderNotRun",
    "Report",
    "Rewrite",
    "bench",
    "check",
    "check_all",
    "diff",
    "inspect",
    "rewrite",
    "verify",
]
