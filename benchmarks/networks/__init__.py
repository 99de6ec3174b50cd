"""The reference networks, built with numpy and onnx alone."""
