"""What a model is: files, protos, an index over them, constants, linear layers, and the one room that edits."""
