"""Bookkeeping: what a run was made of, and what came of it.

    the program that trains                    a process beside it, which nothing in the program waits for
    _recorder  ── pickled _messages ──>  _scribe ──> _store (a protocol) ──> _mlflow, the only door to MLflow
                                            │
                                            └─ _code, _machine, _files: what can be looked up from there
    _secrets      what is masked before anything is recorded
    _environment  which variables make a difference
    _alone        one process at a time, where several would make the same store
    _processes    whether the program of a run that says it runs is still there

The process imports MLflow, which takes seconds, keeps its warnings, its threads and its attempts to reach a server that
does not answer away from training, and sees the program end even if that is killed.
"""
