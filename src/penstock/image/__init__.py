"""One image: arrays in, arrays out. No files, no threads, no Keras."""
