"""Layout rules: what brings the nodes around a PReLU into ONNX Runtime's blocked layout, on any model."""
