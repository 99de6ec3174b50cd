"""What is chosen by measuring: the fastest forms, and the form to quantize. Joins passes and measure."""
