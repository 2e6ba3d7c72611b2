"""The face: Keras's names, Keras's habits."""
