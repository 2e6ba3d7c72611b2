"""Which of how many processes this one is, as the framework that trains knows it.

Nothing is imported for it: a framework that nobody has imported trains nobody. A single process pays for a few look-ups
in `sys.modules`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import keras

from penstock.feeding._plan import ALL, Shard


@dataclass(frozen=True)
class Ranks:
    """What has been found.

    Attributes:
        shard: this process's part.
        by: who says so, for messages; empty where nobody does.
    """

    shard: Shard = ALL
    by: str = ""

    @property
    def are_several(self) -> bool:
        """Whether other processes train the same model."""
        return self.shard.world * self.shard.partners > 1


def find_ranks() -> Ranks:
    """Ask torch, JAX and TensorFlow, as far as they are imported, Keras's back end first; about 15 us if all three are.

    - torch: the default process group, once `torch.distributed` is initialised.
    - JAX: its processes, once `jax.distributed` is initialised. Where a `keras.distribution` lays a model across
      several of them, those are partners and get the same samples. Keras puts the batches of all processes together to
      one array, for which they need as many rows each.
    - TensorFlow: the cluster of the strategy in whose scope this runs; outside of one, and if it is the back end,
      `TF_CONFIG`.
    """
    finders = {"torch": _of_torch, "jax": _of_jax, "tensorflow": _of_tensorflow}
    backend = keras.backend.backend()
    for name in sorted(finders, key=lambda name: name != backend):
        framework = sys.modules.get(name)
        found = None if framework is None else finders[name](framework)
        if found is not None and found.are_several:
            return found
    return Ranks()


def _of_torch(torch: Any) -> Ranks | None:
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return Ranks(Shard(distributed.get_rank(), distributed.get_world_size()), "torch.distributed")


def _of_jax(jax: Any) -> Ranks | None:
    # Asked first: whether there are several processes JAX can tell only with its devices, which that would start.
    is_initialized = getattr(getattr(jax, "distributed", None), "is_initialized", None)
    if is_initialized is None or not is_initialized():
        return None
    process, processes = jax.process_index(), jax.process_count()
    distribution = keras.distribution.distribution() if keras.backend.backend() == "jax" else None
    if distribution is None:
        return Ranks(Shard(process, processes, rows_multiple=1), "jax.distributed")
    replicas, by = distribution.num_model_replicas, f"jax.distributed and {type(distribution).__name__}"
    if replicas >= processes:
        return Ranks(Shard(process, processes, rows_multiple=replicas // processes), by)
    partners = processes // replicas
    return Ranks(Shard(distribution.data_shard_id, replicas, partners, process % partners, rows_multiple=1), by)


def _of_tensorflow(tf: Any) -> Ranks | None:
    distribute = getattr(tf, "distribute", None)
    if distribute is None:
        return None
    if distribute.has_strategy():
        resolver, by = distribute.get_strategy().cluster_resolver, "the strategy's cluster"
    elif "TF_CONFIG" in os.environ and keras.backend.backend() == "tensorflow":
        resolver, by = distribute.cluster_resolver.TFConfigClusterResolver(), "TF_CONFIG"
    else:
        return None
    # A chief is a worker, too: the first. Servers of parameters and evaluators train no batches.
    if resolver is None or resolver.task_type not in ("chief", "worker"):
        return None
    jobs = resolver.cluster_spec().as_dict()
    chiefs = len(jobs.get("chief", ()))
    rank = int(resolver.task_id) + (chiefs if resolver.task_type == "worker" else 0)
    return Ranks(Shard(rank, chiefs + len(jobs.get("worker", ()))), by)


def shares_out(trainer: Any) -> bool:
    """Whether what a Keras model is given is shared out among several processes by its back end, batch by batch.

    TensorFlow does it, with `experimental_distribute_dataset`, which knows nothing of batches that are parts already.
    """
    strategy = getattr(trainer, "distribute_strategy", None)
    return strategy is not None and bool(strategy.num_replicas_in_sync > len(strategy.extended.worker_devices))
