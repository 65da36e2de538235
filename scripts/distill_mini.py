r"""Distils `mini`, a small network that stands in for VGG19 in style transfer, from VGG19.

    python scripts/distill_mini.py --weights=VGG19.h5 --photos=DIR --paintings=DIR --out=mini.npz

`mini` has VGG19's layers conv1_1 ... conv5_1 with fewer channels (`layers.MINI`). Where the two are
compared, a linear embedding E maps the student's features h to the teacher's t, and the loss asks

- that features and Gram matrices agree: E h ≈ t and E^T G(h) E ≈ G(t);
- that so do the changes of a Gram matrix from one picture to another, small ones too: what remains
  between a pastiche and its style image must not be hidden from the student;
- that E is a scaled isometry, E E^T ≈ (N_t / N_h) I, since style transfer sees G(h) without E:
  then |G(h) − G(h')|² / N_h² ≈ |G(t) − G(t')|² / N_t²;
- that those distances between the pictures of a batch agree, in logarithms.

The pictures are crops at many scales, blends, noise, and what the optimizer really shows a network:
states of style transfers that the teacher and the student itself made on the way.

It goes on from the newest checkpoint, and writes `--out` at every checkpoint. Ctrl-C saves.
"""

from __future__ import annotations

import collections
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags
from distillation.comparison import SHARES, Tensors, compare, thin, total
from distillation.painter import Judge, Painter
from distillation.pictures import Crops, split, square
from distillation.student import CHANNELS, TAPS, Student, graft
from tqdm import tqdm

from nst_tf import files, losses
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights

_WEIGHTS = flags.DEFINE_string("weights", "imagenet", "The teacher: 'imagenet' or a file.")
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs.", required=True)
_PAINTINGS = flags.DEFINE_string("paintings", None, "Folder of paintings.", required=True)
_OUT = flags.DEFINE_string("out", "mini.npz", "Where the student's weights go, float16.")
_DIRECTORY = flags.DEFINE_string("checkpoint_dir", "mini", "Checkpoints and TensorBoard's scalars.")
_MINUTES = flags.DEFINE_float("minutes", 60, "Time to train for, earlier runs included.")
_STEPS = flags.DEFINE_integer("steps", 10**9, "Steps to train for, whichever ends first.")
_RATE = flags.DEFINE_float("learning_rate", 3e-4, "Adam's largest learning rate.")
_BATCH = flags.DEFINE_integer("batch", 8, "Crops of 128 pixels in a batch; fewer if larger.")
_REUSE = flags.DEFINE_integer("reuse", 3, "How often a batch that the teacher saw is used.")
_GRAFT = flags.DEFINE_integer("graft_crops", 192, "Crops that the start is fitted to.")
_PAINT_EVERY = flags.DEFINE_integer("paint_every", 100, "Steps between two style transfers.")
_TEACHER_SHARE = flags.DEFINE_float("teacher_share", 0.15, "Style transfers by the teacher.")
_REPORT = flags.DEFINE_float("report_minutes", 4, "Minutes between checkpoints and reports.")
_JUDGED = flags.DEFINE_integer("judged_pairs", 2, "Held-out pairs that the teacher judges.")
_THREADS = flags.DEFINE_integer("threads", 0, "Threads; 0 takes all cores.")
_SEED = flags.DEFINE_integer("seed", 0, "The same seed draws the same crops.")

#: Batches with the teacher's features that are kept.
KEPT = 48


class Adam(tf.Module):
    """Kingma and Ba, arXiv:1412.6980, algorithm 1."""

    def __init__(self, variables: tuple[tf.Variable, ...]) -> None:
        super().__init__(name="adam")
        self._variables = variables
        self.first = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
        self.second = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    def apply(self, gradients: list[tf.Tensor], rate: tf.Tensor, step: tf.Tensor) -> None:
        """One step; `step` counts from 1."""
        rate *= tf.sqrt(1 - 0.99**step) / (1 - 0.9**step)
        for variable, first, second, gradient in zip(
            self._variables, self.first, self.second, gradients, strict=True
        ):
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.99 * second + 0.01 * tf.square(gradient))
            variable.assign_sub(rate * first / (tf.sqrt(second) + 1e-8))


def learning_rate(progress: float) -> float:
    """Linear warm-up over the first 2 %, then half a cosine down to 1 %."""
    cosine = 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(progress, 1)))
    return _RATE.value * min(1, (progress + 1e-3) / 0.02) * cosine


def feature_scales(weights: Weights, paths: list[Path]) -> dict[str, float]:
    """RMS of the teacher's features by layer over some pictures."""
    model = vgg.build_model(list(CHANNELS), weights)
    maps = model(np.stack([square(path) for path in paths]))
    return {name: float(tf.sqrt(tf.reduce_mean(tf.square(maps[name])))) for name in CHANNELS}


class Distillation:
    """Teacher, student, and how one learns from the other.

    Args:
      weights: the teacher's.
      crops: to learn from.
      scales: RMS of the teacher's features by layer.
    """

    def __init__(self, weights: Weights, crops: Crops, scales: dict[str, float]) -> None:
        self.crops, self._scales = crops, scales
        self.student = Student(scales, np.random.default_rng(_SEED.value))
        # bfloat16 halves the time of the teacher, which takes most of it.
        self._teacher = vgg.build_model(list(TAPS), weights, dtype="mixed_bfloat16")
        self._copy = vgg.build_model(list(TAPS), self.student.export())
        self.painters = {"teacher": Painter(self._teacher), "student": Painter(self._copy)}
        self._adam = Adam(self.student.trainable_variables)
        self.step, self.seconds = tf.Variable(0, dtype=tf.int64), tf.Variable(0.0)
        self._checkpoint = tf.train.Checkpoint(
            student=self.student, adam=self._adam, step=self.step, seconds=self.seconds
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, _DIRECTORY.value, 2)
        self._pool_file = Path(_DIRECTORY.value, "pool.npz")
        self._lessons: collections.deque[tuple] = collections.deque(maxlen=KEPT)

    def restore(self) -> None:
        """Goes on from the newest checkpoint and the pool, where there are any."""
        self._manager.restore_or_initialize()
        if self._pool_file.is_file():
            with np.load(self._pool_file) as pool:
                self.crops.pool.extend(pool[key] for key in pool.files)

    def save(self) -> None:
        """Writes a checkpoint, the pool, and the student's weights."""
        np.savez(self._pool_file, *self.crops.pool)
        self._manager.save()
        own = self.student.export()
        arrays = {f"{name}/kernel": own.kernels[name] for name in CHANNELS}
        arrays |= {f"{name}/bias": own.biases[name] for name in CHANNELS}
        halves = {key: array.astype(np.float16) for key, array in arrays.items()}
        with files.replacing(Path(_OUT.value)) as part, part.open("wb") as file:
            np.savez_compressed(file, **halves)  # type: ignore[arg-type]

    def learn(self, draw: np.random.Generator, rate: float) -> Tensors:
        """One step on a batch that the teacher saw, now or lately; returns its terms."""
        if int(self.step) % _REUSE.value == 0 or not self._lessons:
            pictures = tf.constant(self.crops.batch(_BATCH.value, draw))
            self._lessons.append((pictures, *self._teach(pictures)))
        self.step.assign_add(1)
        return self._learn(*self._lessons[draw.integers(len(self._lessons))], tf.constant(rate))

    def examine(self, pictures: list[np.ndarray]) -> dict[str, float]:
        """The terms' means over pictures of one size."""
        batches = [np.stack(pictures[at::3]) for at in range(3)]
        batches_terms = [
            self._compare(batch, *self._teach(batch)) for batch in map(tf.constant, batches)
        ]
        return {
            key: float(np.mean([terms[key] for terms in batches_terms])) for key in batches_terms[0]
        }

    def copy_student(self) -> Painter:
        """The student's painter, with the student as it is now."""
        own = self.student.export()
        for name in CHANNELS:
            layer = self._copy.get_layer(f"{name}_pre")
            layer.set_weights([own.kernels[name], own.biases[name]])
        return self.painters["student"]

    def paint(self, draw: np.random.Generator) -> None:
        """One more style transfer for the pool: mostly from the photo, by the student, long."""
        if draw.random() < _TEACHER_SHARE.value:
            painter, evaluations = self.painters["teacher"], 40
        else:
            painter, evaluations = self.copy_student(), int(np.exp(draw.uniform(3.2, 5.3)))
        content, style = self.crops.pair(draw)
        noise = np.clip(draw.normal(0.5, 0.1, content.shape), 0, 1).astype(np.float32)
        start = content if draw.random() < 0.8 else noise
        painter.set_targets(content, style)
        states = [style, *painter.paint(start, evaluations)]
        self.crops.pool.append(np.clip(states, -8, 8).astype(np.float16))

    @tf.function(reduce_retracing=True)
    def _teach(self, pictures: tf.Tensor) -> tuple[Tensors, Tensors]:
        maps = {
            name: features / self._scales[name]
            for name, features in self._teacher(pictures).items()
        }
        grams = {name: losses.gram_matrix(features) for name, features in maps.items()}
        return {name: thin(name, features) for name, features in maps.items()}, grams

    @tf.function
    def _learn(
        self, pictures: tf.Tensor, maps: Tensors, grams: Tensors, rate: tf.Tensor
    ) -> Tensors:
        with tf.GradientTape() as tape:
            terms = compare(self.student, pictures, maps, grams)
            loss = total(terms)
        gradients = tape.gradient(loss, self.student.trainable_variables)
        self._adam.apply(gradients, tf.cast(rate, tf.float32), tf.cast(self.step, tf.float32))
        return terms | {"total": loss}

    @tf.function
    def _compare(self, pictures: tf.Tensor, maps: Tensors, grams: Tensors) -> Tensors:
        terms = compare(self.student, pictures, maps, grams)
        return terms | {"total": total(terms)}


def report(
    run: Distillation, judge: Judge | None, held_out: list[np.ndarray], learned: dict[str, float]
) -> None:
    """Prints the held-out numbers and writes them, and the training's, for TensorBoard."""
    terms = run.examine(held_out)
    tqdm.write(
        f"step {int(run.step)}, {float(run.seconds) / 60:.1f} minutes, {len(run.crops.pool)} "
        f"style transfers, loss {learned['total']:.3f}, held out {terms['total']:.3f}"
    )
    for kind in SHARES:
        numbers = (f"{key[-7:]} {terms[key]:.3f}" for key in terms if key.startswith(kind))
        tqdm.write(f"  {kind:8} {', '.join(numbers)}")
    scalars = {f"train/{key}": value for key, value in learned.items()}
    scalars |= {f"held_out/{key}": value for key, value in terms.items()}
    for pair, (gained, kept) in enumerate(judge(run.copy_student()) if judge else ()):
        tqdm.write(f"  pair {pair}: style gained {gained:.3f}, content {kept:.2f}")
        scalars |= {f"judge/style{pair}": gained, f"judge/content{pair}": kept}
    # tf.summary.scalar, which wants TensorBoard installed, writes the same.
    metadata = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR")
    metadata.plugin_data.plugin_name = "scalars"
    for key, value in scalars.items():
        tf.summary.write(key, tf.constant(value, tf.float32), int(run.step), metadata)


def train(run: Distillation, judge: Judge | None, held_out: list[np.ndarray]) -> None:
    """Learns until the time or the steps are spent."""
    recent: collections.deque[Tensors] = collections.deque(maxlen=100)
    draw = np.random.default_rng([_SEED.value, int(run.step)])
    bar = tqdm(total=_MINUTES.value, bar_format="{l_bar}{bar}| {n:.1f}/{total} min{postfix}")
    progress, due = 0.0, float(run.seconds) + 60
    while progress < 1:
        began = time.perf_counter()
        spent = float(run.seconds) / 60 / _MINUTES.value
        progress = max(spent, int(run.step) / _STEPS.value)
        recent.append(run.learn(draw, learning_rate(progress)))
        if int(run.step) % _PAINT_EVERY.value == 0:
            run.paint(draw)
        run.seconds.assign_add(time.perf_counter() - began)
        bar.n = float(run.seconds) / 60
        bar.set_postfix_str(f"step {int(run.step)}, {float(recent[-1]['total']):.3f}", False)
        bar.update(0)
        if float(run.seconds) > due or progress >= 1:
            run.save()
            means = {key: float(np.mean([terms[key] for terms in recent])) for key in recent[-1]}
            report(run, judge, held_out, means)
            due = float(run.seconds) + 60 * _REPORT.value


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected {argv[1]!r}")
    tf.config.threading.set_intra_op_parallelism_threads(_THREADS.value)
    tf.config.threading.set_inter_op_parallelism_threads(_THREADS.value)
    photos, held_photos = split(_PHOTOS.value, 10)
    paintings, held_paintings = split(_PAINTINGS.value, 8)
    print("held out:", *(path.name for path in (*held_photos, *held_paintings)))
    weights = weights_module.load(_WEIGHTS.value)
    scales = feature_scales(weights, [*photos[::12], *paintings[::8]])
    run = Distillation(weights, Crops(photos, paintings), scales)
    run.restore()
    if not int(run.step):
        graft(
            run.student,
            weights,
            run.crops.plain(128, _GRAFT.value, np.random.default_rng(_SEED.value)),
        )
    pairs = list(zip(held_photos, held_paintings, strict=False))[: _JUDGED.value]
    judge = Judge(Painter(vgg.build_model(list(TAPS), weights)), pairs) if pairs else None
    with tf.summary.create_file_writer(_DIRECTORY.value).as_default():
        try:
            train(run, judge, [square(path) for path in (*held_photos, *held_paintings)])
        except KeyboardInterrupt:
            run.save()
            print(f"\nstopped and saved at step {int(run.step)}; the same command goes on")


if __name__ == "__main__":
    app.run(main)
