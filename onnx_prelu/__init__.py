"""Exchange PReLU for ReLU, and ReLU for PReLU, in ONNX models; prove the exchange right and print its price."""
