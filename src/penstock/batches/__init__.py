"""Where image and sources meet: batch number n, and the check of files before there are batches."""
