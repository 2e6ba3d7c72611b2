"""What penstock is worth: measured against Keras's own class, in one run, on one machine.

_workloads  _photographs   what is fed: data and settings, the same for both sides
_feeds  _busy  _border     how it is fed: one side each
_measure                   rounds, medians, spread
_rows                      what is compared with what, and the target
_record  _table            what came out: JSON, and Markdown from it
__main__                   python -m penstock.bench
"""
