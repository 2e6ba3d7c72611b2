"""The same workloads in other libraries, each set up for speed and run in a process of its own.

- `_catalogue`: who they are, what they need, and how each one is set up
- `_tf_data`, `_torch_loader`, `_grain`, `_penstock`: `memory` and `files`, one library each
- `_albumentations`: the transforms that two of them share
- `_job`: what a process is asked for and what it answers; `__main__` is that process
- `_in_process`: starts it, waits for it, and leaves nothing of it running; `_leash`: neither does who is killed
"""
