"""The ONNX Runtime that is installed: which providers it has, and what its errors mean."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable
from functools import cache
from types import ModuleType

import onnx

from ...graph.model import Model
from .names import short
from .quiet import caught
from .runner import CannotRun

_INSTALL = "pip install onnxruntime, or onnxruntime-gpu for CUDA"


def onnxruntime() -> ModuleType:
    """The module, imported when it is first needed, without what its import writes to standard error.

    Raises:
        CannotRun: It is not installed, or cannot be imported.
    """
    if "onnxruntime" not in sys.modules:
        with caught([]):
            _import()
    return _import()


def _import() -> ModuleType:
    try:
        module = importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise CannotRun(f"ONNX Runtime lacks the package '{error.name}'; {_INSTALL}") from None
        raise CannotRun(f"no ONNX Runtime is installed; {_INSTALL}") from None
    except ImportError as error:
        raise CannotRun(f"ONNX Runtime cannot be imported ({error}); uninstall it, then {_INSTALL}") from None
    if not hasattr(module, "InferenceSession"):  # what is left where one of two wheels was uninstalled
        raise CannotRun(f"only remains of an ONNX Runtime are installed; uninstall onnxruntime, then {_INSTALL}")
    return module


def release() -> tuple[int, int]:
    """The runtime's release, as in (1, 26)."""
    major, minor = onnxruntime().__version__.split(".")[:2]
    return int(major), int(minor)


def full(provider: str) -> str:
    """The name under which this runtime has a provider.

    Args:
        provider: Its name, with or without ``ExecutionProvider``, in any case.

    Raises:
        CannotRun: There is no runtime, or it was built without this provider, or never heard of it; the reason
            lists what it has.
    """
    runtime = onnxruntime()
    names: dict[str, str] = {short(name): name for name in runtime.get_available_providers()}
    if short(provider) in names:
        return names[short(provider)]
    version = f"ONNX Runtime {runtime.__version__}"
    has = f"it has {', '.join(sorted(names.values()))}"
    elsewhere = {short(name): name for name in runtime.get_all_providers()}
    if short(provider) not in elsewhere:
        raise CannotRun(f"{version} knows no provider '{provider}'; {has}")
    more = "; uninstall onnxruntime, then pip install onnxruntime-gpu" if short(provider) == "cuda" else ""
    raise CannotRun(f"this {version} was built without {elsewhere[short(provider)]}; {has}{more}")


def errors() -> tuple[type[Exception], ...]:
    """What a session raises. ONNX Runtime's own errors have no base class but Exception."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, MemoryError, RuntimeError, TypeError, ValueError)


def told(message: str) -> str:
    """An error of ONNX Runtime for people: without codes, source lines and C++ signatures.

    >>> told("[ONNXRuntimeError] : 1 : FAIL : /a/b.cc:12 void f(int, g(h)) No such kernel")
    'No such kernel'
    """
    text = " ".join(message.split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    while place := re.search(r"\S+\.(?:cc|cpp|cu|h):\d+ ", text):
        text = text[: place.start()] + _after_signature(text[place.end() :])
    return text.strip()


def _after_signature(text: str) -> str:
    """What follows ``void f(int, g(h)) const`` at the beginning of a text; all of it where there is no such thing."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and depth == 0:
            rest = re.sub(r"^ (?:const\b ?)?(?:\[with [^\]]*\] ?)?", "", text[at + 1 :])
            return rest or text
    return text


def too_new(message: str, model: Model) -> str | None:
    """The reason, where an error says that the model's IR or opset is newer than the runtime; else None.

    The error names one limit, the one that was met first: the other one is asked for.
    """
    if not _LIMIT.search(message):
        return None
    imports = {opset.domain or "ai.onnx": opset.version for opset in model.proto.opset_import}
    other = re.search(r"support for domain (\S+) is till opset (\d+)", message)
    if other is not None and other[1] != "ai.onnx":
        return f"opset {imports.get(other[1], 'unknown')} of {other[1]}: this ONNX Runtime reads up to {other[2]}"
    most, upto = newest()
    opset = imports.get("ai.onnx", "unknown")
    return f"IR {model.proto.ir_version}, opset {opset}: this ONNX Runtime reads up to {most} and {upto}"


_LIMIT = re.compile(r"(?:max supported IR version: |support for domain \S+ is till opset )(\d+)")
_NEVER = 10**6  # an IR version and an opset that no release will read


@cache
def newest() -> tuple[str, str]:
    """The newest IR version and opset that this runtime reads, from what it says of models that are newer."""
    opset = onnx.helper.make_opsetid("", 1)
    graph = onnx.helper.make_graph([], "nothing", [], [])
    proto = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=_NEVER)
    found = [_refusal(proto)]
    proto.ir_version, proto.opset_import[0].version = 3, _NEVER
    found.append(_refusal(proto))
    most, upto = (limit[1] if (limit := _LIMIT.search(text)) else "an unknown version" for text in found)
    return most, upto


def _refusal(proto: onnx.ModelProto) -> str:
    try:
        onnxruntime().InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    except errors() as error:
        return str(error)
    return ""


def missing(lines: Iterable[str]) -> str | None:
    """What a provider lacks, from what ONNX Runtime wrote to standard error while it tried; None if it said nothing."""
    text = "\n".join(re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines)
    if found := re.search(r"with error: (\S+): cannot open shared object", text):
        return f"its library {found[1]} is missing; pip install onnxruntime-gpu[cuda,cudnn] brings CUDA's"
    if found := re.search(r"CUDA failure \d+: ([^;\n]+)", text):
        return found[1].strip()
    if found := re.search(r"with error: (.+)", text):
        return f"its library cannot be loaded ({found[1].strip()})"
    if found := re.search(r"Failed to create \w+\. (.+)", text):
        return found[1].strip()
    return None
