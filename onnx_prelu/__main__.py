"""``python -m onnx_prelu``: the command line without an installed script."""

from .cli import main

main()
