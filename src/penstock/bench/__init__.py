"""What penstock is worth: measured against Keras's own class and other libraries, in one run, on one machine.

- `_workloads`, `_photographs`, `_scale`: what is fed; data and settings, the same for both sides
- `_feeds`, `_busy`, `_border`: how it is fed, one side each
- `peers/`: how other libraries feed the same, each in a process of its own
- `_measure`, `_load`: rounds, medians, spread, and who else was running
- `_rows`, `_peer_rows`: what is compared with what, and the target
- `_record`, `_table`, `_machine`: what came out; JSON, and Markdown from it
- `__main__`: the command line, `python -m penstock.bench`
"""
