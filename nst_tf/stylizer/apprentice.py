"""A stylizer while it learns: Keras' own `fit`, with the loss of every picture in its own style."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.keras import PerceptualLoss
from nst_tf.stylizer.network import Stylizer

#: The norm that a step's gradient, of all weights, is clipped to.
_CLIP = 1.0


class Apprentice(tf.keras.Model):
    """A stylizer and what it is told by. The loss's network is no part of it, nor of what is saved.

    It takes and is compared with `({"content": photos, "styles": one_hot}, photos)`. Made under a
    strategy of tf.distribute, it learns as one alone does of the whole batch.

    Args:
      stylizer: it learns.
      loss: with the paintings of its styles, apart and in their order.

    Attributes:
      whole: whether all is learnt, or only what each style has of its own; to be set before
        `compile`.
    """

    def __init__(self, stylizer: Stylizer, loss: PerceptualLoss) -> None:
        super().__init__(name="apprentice", dtype="float32")
        self.stylizer, self._looked_at = stylizer, loss
        self._mean = tf.keras.metrics.Mean(name="loss")
        self.whole = True

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        painted: tf.Tensor = self.stylizer(inputs)
        return painted

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The mean over the batch, float32 []."""
        each = self._looked_at.each(y, y_pred, tf.argmax(x["styles"], -1))
        mean = tf.reduce_mean(each)
        alike = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, mean)
        self._mean.update_state(alike)
        return mean

    def train_step(self, data: Any) -> dict[str, Any]:
        """As Keras' own, but that a part may not be learnt, and that of several replicas, each with
        its part of the batch, the gradient is that of the whole batch before it is clipped, where
        Keras would clip each part's."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        inputs, photos = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, photos, self(inputs)) / replicas
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        if not self.whole:
            body = {id(kernel) for kernel in self.stylizer.body}
            gradients = [
                tf.zeros_like(gradient) if id(variable) in body else gradient
                for gradient, variable in zip(gradients, variables, strict=True)
            ]
        if replicas > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
            gradients, _ = tf.clip_by_global_norm(gradients, _CLIP)
            # The optimizer sums what it is given of all replicas.
            gradients = [gradient / replicas for gradient in gradients]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        mean = self._mean.result()
        # Of several workers Keras 3 takes the mean over an axis, which a number has not.
        several = tf.distribute.get_strategy().cluster_resolver is not None
        return {"loss": tf.reshape(mean, [1]) if several else mean}

    def _maybe_symbolic_build(self, *_: Any, **__: Any) -> None:
        """Nothing: all parts are built. Keras 3 would reduce a batch over all workers for it, and
        cannot where a batch has inputs by name."""

    def each(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """The loss of each picture, float32 [batch]."""
        numbers = tf.argmax(inputs["styles"], -1)
        return self._looked_at.each(inputs["content"], self(inputs), numbers)

    @property
    def metrics(self) -> list[Any]:
        return [self._mean]


def optimizer(steps: int, learning_rate: float) -> Any:
    """Adam with a rate that rises, then falls along half a cosine; gradients clipped to a norm;
    and the average of what it went through, which the weights become in the end.

    Args:
      steps: of the whole training.
      learning_rate: the largest.
    """
    rising = max(1, min(100, steps // 10))
    rate = tf.keras.optimizers.schedules.CosineDecay(
        learning_rate / 10,
        max(1, steps - rising),
        alpha=0.1,
        warmup_target=learning_rate,
        warmup_steps=rising,
    )
    # Of the last hundred steps; of a short training, where the first would weigh, fewer.
    average = min(0.99, max(0.0, 1 - 10 / steps))
    return tf.keras.optimizers.Adam(rate, global_clipnorm=_CLIP, use_ema=True, ema_momentum=average)


def steps_of(optimizer: Any) -> int:
    """The steps that an optimizer has taken, whichever its replicas."""
    return int(tf.convert_to_tensor(optimizer.iterations))


@contextlib.contextmanager
def averaged(model: tf.keras.Model) -> Iterator[None]:
    """The model with the averages of its weights, until the block ends."""
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    # As Keras' own SwapEMAWeights, which Keras 2 has not.
    averages = inner._model_variables_moving_average
    variables = model.trainable_variables
    kept: list[np.ndarray] = [tf.convert_to_tensor(variable).numpy() for variable in variables]
    for variable, average in zip(variables, averages, strict=True):
        variable.assign(tf.convert_to_tensor(average))
    try:
        yield
    finally:
        for variable, numbers in zip(variables, kept, strict=True):
            variable.assign(numbers)
