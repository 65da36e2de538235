"""Several replicas of a stylizer that learn as one: GPUs of this machine, or several machines.

Each has an equal part of every batch, and what is learnt is as with one that has the whole batch.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

import tensorflow as tf

from nst_tf.errors import NSTError, SettingsError


def strategy(batch: int) -> tf.distribute.Strategy:
    """For the workers that the environment's TF_CONFIG names, else for as many of this machine's
    GPUs as the batch has equal parts for. To be called before TensorFlow computes anything.

    Args:
      batch: pictures of a step, of all replicas together.

    Raises:
      SettingsError: TF_CONFIG cannot be used.
    """
    if _workers() > 1:
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise SettingsError(f"the environment's TF_CONFIG cannot be used: {reason}") from error
    gpus = [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
    used = next((count for count in range(len(gpus), 1, -1) if not batch % count), 1)
    return tf.distribute.MirroredStrategy(gpus[:used]) if used > 1 else tf.distribute.get_strategy()


def _workers() -> int:
    """How many the environment's TF_CONFIG names, as TensorFlow's guides to training on several
    machines have it; 0 where there is none."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return 0
    try:
        config = json.loads(text)
        cluster = config["cluster"]
        count = len(cluster.get("chief", ())) + len(cluster["worker"])
        kind, index = config["task"]["type"], int(config["task"]["index"])
        address = cluster[kind][index]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise SettingsError(
            f"the environment's TF_CONFIG is {text[:80]!r}: it is to name the cluster's workers "
            "and this one's task, as in README"
        ) from error
    if kind not in ("chief", "worker") or not isinstance(address, str):
        raise SettingsError(f"TF_CONFIG's task is a {kind}: training has workers and a chief alone")
    return count


def check(strategy: tf.distribute.Strategy, batch: int) -> None:
    """Raises SettingsError where it does not learn as one alone would."""
    replicas = strategy.num_replicas_in_sync
    if batch % replicas:
        raise SettingsError(
            f"a batch of {batch} has no equal parts for {replicas} replicas: use one of "
            f"{-(-batch // replicas) * replicas}"
        )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes: the first of several workers, or the only."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return bool(
        resolver.task_type == "chief"
        or (resolver.task_type == "worker" and resolver.task_id == 0 and not has_chief)
    )


@contextlib.contextmanager
def naming_losses(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """What TensorFlow makes of another worker that has ended is our error."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
        if strategy.cluster_resolver is None:
            raise
        raise NSTError(
            "another worker has ended, so this one ends, too: the same command on all workers goes "
            "on from what the first has put aside"
        ) from error
