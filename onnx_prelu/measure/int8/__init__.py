"""What becomes of a model when it is quantized to int8."""
