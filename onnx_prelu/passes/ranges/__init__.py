"""What is known of the values of tensors, from the ranges of the inputs and from the ops that make them."""
