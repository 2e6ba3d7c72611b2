"""Batch number n: where image and sources meet."""
