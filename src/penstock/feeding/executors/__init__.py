"""Where batches are made: the one seam."""
