"""What a run compiles goes with its workshop: many in one program need no more memory than one."""

import gc

import pytest
import tensorflow as tf

import nst_tf
from nst_tf.network.compiled import compiled
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop


def graphs():
    gc.collect()
    return sum(isinstance(thing, tf.Graph) for thing in gc.get_objects())


@pytest.mark.parametrize("options", [{"engine": "winograd"}, {"engine": "direct", "tile": 16}])
def test_a_runs_graphs_go_with_it(tiny_weights, scene, painting, options):
    def run():
        StyleTransfer(
            scene,
            painting,
            preset="gatys2016",
            weights=tiny_weights,
            size=48,
            evaluations=3,
            # Of every kind of layer one: the fewer, the sooner it is compiled.
            content_layers={"conv2_1": 1.0},
            style_layers={"conv1_1": 1.0},
            workshop=Workshop(),
            **options,
        ).run()

    run()  # what TensorFlow keeps once
    before = graphs()
    run()
    assert graphs() <= before


def test_what_the_process_keeps_goes_when_asked(tiny_weights, scene, painting):
    def run():
        options = {"preset": "gatys2016", "size": 48, "iterations": 1, "optimizer": "adam"}
        layers = {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0}}
        StyleTransfer(scene, painting, weights=tiny_weights, **options, **layers).run()
        kept = graphs()
        nst_tf.clear_workshops()
        return kept, graphs()

    run()
    before = graphs()
    kept, left = run()
    assert left <= before < kept


def test_gradients_that_others_registered_stay():
    @tf.custom_gradient
    def three_times(x):
        return 3 * x, lambda upstream: 3 * upstream

    @tf.function
    def outer(x):
        return three_times(x) ** 2

    x = tf.constant(2.0)
    outer(x)
    compiled(lambda x: three_times(x))(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = outer(x)
    assert float(tape.gradient(value, x)) == 36.0
