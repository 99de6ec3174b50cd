"""What a model costs: parameters, bytes, multiplications, memory."""
