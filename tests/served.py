"""A SavedModel as TF Serving loads it: into a session, which looks at no shape."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2


class Served:
    """A version's signatures, to be asked like functions, until it is closed.

    Attributes:
      inputs: the names of each signature's inputs.
    """

    def __init__(self, version):
        v1 = tf.compat.v1
        self._session = v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            meta = v1.saved_model.load(self._session, ["serve"], str(version))
        self._signatures = meta.signature_def
        self.inputs = {name: list(one.inputs) for name, one in sorted(self._signatures.items())}
        self._calls = {}

    def __call__(self, name, **given):
        """A signature's outputs for its inputs."""
        signature = self._signatures[name]
        outputs = sorted(signature.outputs)
        if name not in self._calls:
            options = config_pb2.CallableOptions(
                feed=[signature.inputs[key].name for key in self.inputs[name]],
                fetch=[signature.outputs[key].name for key in outputs],
            )
            # `session.run` would compare shapes with the placeholders', which a server does not.
            self._calls[name] = self._session._make_callable_from_options(options)
        feeds = [
            np.asarray(given[key], object if key.endswith("bytes") else None)
            for key in self.inputs[name]
        ]
        return dict(zip(outputs, self._calls[name](*feeds), strict=True))

    def close(self):
        self._calls.clear()
        self._session.close()
