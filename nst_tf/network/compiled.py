"""tf.function for objects of which a program may make many."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled(function: Callable[..., Any], input_signature: Any = None) -> Any:
    """`function` as a tf.function of its own, traced when first called.

    TensorFlow warns of retracing where one piece of code is traced again and again. It tells them
    apart by their code; a partial has none, and is itself.

    A gradient is taken inside it, not through it.
    """

    def traced(*arguments: Any) -> Any:
        outputs = function(*arguments)
        _forget_gradients(tf.compat.v1.get_default_graph())
        return outputs

    return tf.function(functools.partial(traced), input_signature=input_signature, autograph=False)


def any_size(nest: Any) -> Any:
    """The specification of tensors like those of a nest, in which pictures [1, height, width, c]
    may have any size: an input signature with which one trace serves them all."""

    def relaxed(tensor: tf.Tensor) -> tf.TensorSpec:
        shape = tensor.shape
        return tf.TensorSpec([1, None, None, shape[3]] if shape.rank == 4 else shape, tensor.dtype)

    return tf.nest.map_structure(relaxed, nest)


def _forget_gradients(graph: tf.Graph) -> None:
    """Lets a graph go when its function does.

    TensorFlow registers the gradient functions of tf.custom_gradient for good; they hold tensors
    of the graph, it holds what it captured, and that is a whole network. In a graph that has
    taken its gradients nobody looks them up again.
    """
    registered = _gradient_registry()
    # A copy, made in one go: other threads may be tracing, too.
    for name, entry in registered.copy().items():
        if not name.startswith("CustomGradient-"):
            continue
        of = _graph_of(entry["type"])
        while of is not None and of is not graph:
            of = getattr(of, "outer_graph", None)
        if of is graph:
            registered.pop(name, None)


def _gradient_registry() -> dict[str, dict[str, Any]]:
    # TensorFlow has no public way to it.
    from tensorflow.python.framework import ops

    registry: Any = getattr(ops, "gradient_registry", None) or ops._gradient_registry
    functions: dict[str, dict[str, Any]] = registry._registry
    return functions


def _graph_of(gradient_function: Callable[..., Any]) -> Any:
    """The graph of the tensors that a gradient function of tf.custom_gradient holds."""
    inner = inspect.getclosurevars(gradient_function).nonlocals.get("tape_grad_fn")
    held = inspect.getclosurevars(inner).nonlocals.get("result") if inner else None
    tensors = [value for value in tf.nest.flatten(held) if tf.is_tensor(value)]
    return getattr(tensors[0], "graph", None) if tensors else None
