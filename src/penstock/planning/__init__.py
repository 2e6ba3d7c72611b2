"""What feeding takes past one machine, worked out: pure functions of numbers, which know nothing of the other rooms.

_rates     what an image costs a core, measured and fitted; `rates.json` comes with the package
_pipeline  what feeds some accelerators, and what bounds its rate (Little's law)
_simulate  the same, batch by batch
_plan      how many cores, how much memory, network and storage: the answer
"""
