"""Sample number i: random access, no state, picklable."""
