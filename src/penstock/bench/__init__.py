"""What penstock is worth: measured against Keras's own class and other libraries, in one run, on one machine.

- `_workloads`, `_sequences`, `_photographs`, `_scale`: what is fed; data and settings, the same for both sides
- `_feeds`, `_busy`, `_border`, `_costs`: how it is fed, one side each
- `scripts/`: what is measured in an interpreter of its own
- `peers/`: how other libraries feed the same, each in a process of its own
- `study/`: what workers are worth, as `penstock bench` measures it
- `_measure`, `_load`: rounds, medians, spread, and who else was running
- `_rows`, `_busy_rows`, `_peer_rows`, `_feed_rows`: what is compared with what, and the target (`_row`, `_claim`)
- `_plan_rates`, `_plan_rows`, `_plan_table`: what `penstock plan` starts from, and whether what it foretells comes true
- `_record`, `_table`, `_machine`: what came out; JSON, and Markdown from it
- `__main__`: the command line, `python -m penstock.bench`
"""
