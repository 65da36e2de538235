"""What trains the built-in network, piece by piece."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rounding
import tensorflow as tf
from distillation import comparison, painter, pictures, student

from nst_tf import assets
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.recipe import layers

SCRIPTS = Path(__file__).parent.parent / "scripts"


def test_the_channels_chosen_explain_the_others():
    """Features of rank 3 among 8 channels: any 3 independent ones explain all."""
    draw = np.random.default_rng(0)
    features = draw.standard_normal((500, 3)) @ draw.standard_normal((3, 8))
    chosen = student.most_telling(features, 3)
    assert len(set(chosen)) == 3
    fitted = np.linalg.lstsq(features[:, chosen], features, rcond=None)[0]
    # A least squares fit of 500 rows, of channels whose condition may be in the thousands.
    bound = 1e3 * rounding.of_sums(500, 8, dtype="float64")
    rounding.assert_close(features[:, chosen] @ fitted, features, bound)


def test_least_squares_is_numpys_where_the_ridge_is_small():
    draw = np.random.default_rng(0)
    inputs, outputs = draw.standard_normal((50, 4)), draw.standard_normal((50, 3))
    solved = student.least_squares(inputs, outputs, 1e-12)
    expected = np.linalg.lstsq(inputs, outputs, rcond=None)[0]
    # The ridge itself, and normal equations of 50 rows.
    rounding.assert_close(solved, expected, 1e-11 + 10 * rounding.of_sums(50, 4, dtype="float64"))


def test_unseen_change_is_the_share_of_the_difference_that_is_missing():
    draw = np.random.default_rng(0)
    teacher, errors = draw.standard_normal((2, 4, 5, 5))
    floor = 0.02 * np.mean(teacher**2) + 1e-4
    wanted = np.mean(
        [
            np.mean((errors[i] - errors[j]) ** 2)
            / (np.mean((teacher[i] - teacher[j]) ** 2) + floor)
            for i in range(4)
            for j in range(4)
            if i != j
        ]
    )
    given = (tf.constant(array, tf.float32) for array in (errors, teacher))
    bound = rounding.of_sums(1, 5 * 5, 5 * 5, 12)
    rounding.assert_close(comparison.unseen_change(*given), wanted, bound)


def test_log_distances_do_not_see_a_rotation_and_see_a_scale():
    draw = np.random.default_rng(0)
    features = draw.standard_normal((3, 4, 6))
    rotation = np.linalg.qr(draw.standard_normal((6, 6)))[0]
    plain, turned, larger = (
        tf.constant(array, tf.float32) for array in (features, features @ rotation, 3 * features)
    )
    # The square of what rounding makes of the logarithm of sums over 6 channels.
    most = rounding.of_sums(6, 6, 1) ** 2
    rounding.assert_below(float(comparison.log_distances(plain, turned)), most)
    # The floor of 1e-3 takes a little.
    rounding.assert_close(comparison.log_distances(larger, plain), np.log(9) ** 2, 5e-3)


def test_what_is_exported_computes_what_the_student_computes(scene):
    scales = {name: 1.0 + index for index, name in enumerate(student.CHANNELS)}
    learned = student.Student(scales, np.random.default_rng(0))
    for bias in learned.biases.values():
        bias.assign(0.1 * tf.ones_like(bias))
    own = learned(tf.constant(scene[np.newaxis]))
    exported = vgg.build_model(list(student.TAPS), learned.export())(scene[np.newaxis])
    for name in student.TAPS:
        bound = rounding.of_maps(learned.export(), name)
        rounding.assert_close(exported[name] / scales[name], own[name], bound, name)


def test_held_out_pictures_are_never_drawn(tmp_path):
    for name in "abcdefg":
        (tmp_path / f"{name}.png").touch()
    kept, held_out = pictures.split(str(tmp_path), 3)
    assert [path.stem for path in held_out] == ["a", "d", "g"]
    assert [path.stem for path in kept] == ["b", "c", "e", "f"]


def test_crops_come_in_every_size_and_from_the_pool():
    crops = pictures.Crops([assets.SCENE], [assets.PAINTING])
    canvas = pictures.CANVAS
    crops.pool.append(np.full((5, canvas, canvas, 3), 7, np.float16))
    draw = np.random.default_rng(0)
    batches = [crops.batch(4, draw) for _ in range(30)]
    assert {batch.shape[1] for batch in batches} == set(pictures.CROPS)
    assert all(batch.dtype == np.float32 and len(batch) >= 2 for batch in batches)
    from_pool = np.mean([(batch == 7).all((1, 2, 3)).mean() for batch in batches])
    assert 0.2 < from_pool < 0.8


#: The program as it stands, with pictures a quarter as wide: most of its time is their painting.
SMALL = """
import runpy, sys
from distillation import pictures
pictures.CANVAS, pictures.CROPS = 48, {32: 0.5, 48: 0.5}
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_a_short_training_writes_a_network_that_loads_and_goes_on(tmp_path, vgg19_file):
    """Two steps and a style transfer, then one more step from the checkpoint."""
    for folder, picture in (("photos", assets.SCENE), ("paintings", assets.PAINTING)):
        (tmp_path / folder).mkdir()
        for index in range(12):
            (tmp_path / folder / f"{index:02}.png").write_bytes(picture.read_bytes())
    command = [
        *(sys.executable, "-c", SMALL, SCRIPTS / "distill_mini.py", f"--weights={vgg19_file}"),
        *(f"--photos={tmp_path}/photos", f"--paintings={tmp_path}/paintings"),
        *(f"--out={tmp_path}/mini.npz", f"--checkpoint_dir={tmp_path}/run"),
        *("--judged_pairs=0", "--batch=1", "--paint_every=2", "--graft_crops=8"),
    ]
    paths = os.pathsep.join(filter(None, (str(SCRIPTS), os.environ.get("PYTHONPATH"))))
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", PYTHONPATH=paths)
    report = r"step (\d+), [\d.]+ minutes, (\d+) style transfers, loss ([\d.]+)"
    checkpoints = []
    for steps, reached in (("1", "2"), ("2", "3")):
        done = subprocess.run(
            [*command, f"--steps={steps}"], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        assert "held out: 00.png 10.png 00.png 08.png" in done.stdout
        step, transfers, loss = re.findall(report, done.stdout)[-1]
        # The second has painted nothing: what is in its pool was in the first one's.
        assert (step, transfers) == (reached, "1") and np.isfinite(float(loss))
        checkpoints.append(int(tf.train.latest_checkpoint(tmp_path / "run").rpartition("-")[2]))
    # They are counted on from the one that it began with.
    assert checkpoints[0] < checkpoints[1]
    network = weights_module.load(tmp_path / "mini.npz")
    assert {name: len(bias) for name, bias in network.biases.items()} == layers.MINI


def test_a_painter_uses_the_networks_own_losses(tiny_weights):
    """The states it returns begin with the start and end with less loss."""
    own = painter.Painter(vgg.build_model(list(student.TAPS), tiny_weights))
    draw = np.random.default_rng(0)
    content, style = draw.random((2, 32, 32, 3), np.float32)
    own.set_targets(content, style)
    states = own.paint(content, 8)
    np.testing.assert_array_equal(states[0], content)
    first, last = (
        float(own.objective(tf.constant(state[np.newaxis])).loss) for state in states[[0, -1]]
    )
    assert last < first
