"""The study that penstock began with, as a tool: what workers are worth to a feed, alone and under training.

- `_data`, `_models`: what is fed, and to which network; `_cifar` reads CIFAR-10, `_page_cache` forgets files
- `_setting`: who feeds, with how many workers, in which batches; and how many workers to try
- `_opened`, `_work`, `_gauges`: one piece of work, done and measured
- `_peer`, `__main__`: the same by another library, in a process of its own
- `_rounds`: which piece is next, how long all of them will take
- `_findings`: medians, speed-ups and how far they can be trusted
- `_record`, `_plot`, `_page`: what came out; JSON, pictures and a page of HTML
- `_original`: the study's own figures, beside ours
"""
