"""How Keras 1 and 2 were called, and what they did with it."""
