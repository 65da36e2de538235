r"""Distils `mini`, a small network that stands in for VGG19 in style transfer, from VGG19.

    python scripts/distill_mini.py --weights=VGG19.h5 --photos=DIR --paintings=DIR --out=mini.npz

`mini` has VGG19's layers conv1_1 ... conv5_1 with a quarter of the channels. Where the two are
compared, a linear embedding E maps the student's features h to the teacher's t, and the loss asks

- that features and Gram matrices agree: E h ≈ t and E^T G(h) E ≈ G(t);
- that E is a scaled isometry, E E^T ≈ (N_t / N_h) I, since style transfer sees G(h) without E:
  then |G(h) − G(h')|² / N_h² ≈ |G(t) − G(t')|² / N_t²;
- that those distances between the pictures of a batch agree, in logarithms.

The pictures are crops at many scales, blends, noise, and what the optimizer really shows a network:
states of style transfers that the teacher and the student itself made on the way.

It goes on from the newest checkpoint, and writes `--out` at every checkpoint.
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
from PIL import Image
from tqdm import tqdm

from nst_tf import images, layers, losses, optimizers, presets, vgg
from nst_tf import weights as weights_module
from nst_tf.objective import Objective
from nst_tf.weights import Weights

_WEIGHTS = flags.DEFINE_string("weights", "imagenet", "The teacher: 'imagenet' or a file.")
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs.", required=True)
_PAINTINGS = flags.DEFINE_string("paintings", None, "Folder of paintings.", required=True)
_OUT = flags.DEFINE_string("out", "mini.npz", "Where the student's weights go, float16.")
_DIRECTORY = flags.DEFINE_string("checkpoint_dir", "mini", "Checkpoints and TensorBoard's scalars.")
_MINUTES = flags.DEFINE_float("minutes", 60, "Time to train for, earlier runs included.")
_STEPS = flags.DEFINE_integer("steps", 10**9, "Steps to train for, whichever ends first.")
_RATE = flags.DEFINE_float("learning_rate", 7e-4, "Adam's largest learning rate.")
_BATCH = flags.DEFINE_integer("batch", 8, "Crops of 128 pixels in a batch; fewer if larger.")
_REUSE = flags.DEFINE_integer("reuse", 3, "How often a batch that the teacher saw is used.")
_PAINT_EVERY = flags.DEFINE_integer("paint_every", 75, "Steps between two style transfers.")
_TEACHER_SHARE = flags.DEFINE_float("teacher_share", 0.15, "Style transfers by the teacher.")
_REPORT = flags.DEFINE_float("report_minutes", 4, "Minutes between checkpoints and reports.")
_JUDGED = flags.DEFINE_integer("judged_pairs", 2, "Held-out pairs that the teacher judges.")
_THREADS = flags.DEFINE_integer("threads", 0, "Threads; 0 takes all cores.")
_SEED = flags.DEFINE_integer("seed", 0, "The same seed draws the same crops.")

#: The student's layers and channels.
CHANNELS = {
    name: channels // 4
    for name, channels in layers.CHANNELS.items()
    if layers.NAMES.index(name) <= layers.NAMES.index("conv5_1")
}
#: Where student and teacher are compared, with the weight of the layer. conv4_1 makes up 95 % of
#: the style loss between a photo and a painting.
TAPS = {
    "conv1_1": 1.0,
    "conv2_1": 1.5,
    "conv3_1": 1.5,
    "conv4_1": 3.0,
    "conv4_2": 1.5,
    "conv5_1": 1.0,
}
#: RMS of the preprocessed pixels, by which the student's input is divided.
INPUT_SCALE = 64.0
#: Sizes of the crops in pixels and how often each is drawn.
CROPS = {96: 0.15, 128: 0.55, 160: 0.15, 192: 0.15}
#: Size in pixels of the style transfers that the student learns from.
CANVAS = 192
#: Style transfers that are kept to draw crops from; the oldest make room.
POOL = 160
#: Batches with the teacher's features that are kept.
KEPT = 48

Tensors = dict[str, tf.Tensor]


def split(folder: str, every: int) -> tuple[list[Path], list[Path]]:
    """The pictures to train on, and every `every`th of the sorted list, which is held out."""
    paths = sorted(path for path in Path(folder).iterdir() if path.is_file())
    held_out = paths[::every]
    return [path for path in paths if path not in held_out], held_out


def random_crop(picture: Image.Image, size: int, draw: np.random.Generator) -> np.ndarray:
    """A square window of a random size, between the whole picture and 1.5 times enlarged."""
    most = min(picture.size)
    side = np.exp(draw.uniform(np.log(min(most, size / 1.5)), np.log(most)))
    left, top = (draw.uniform(0, length - side) for length in picture.size)
    box = (left, top, left + side, top + side)
    crop = picture.resize((size, size), Image.Resampling.LANCZOS, box)
    array = np.asarray(crop, np.float32) / 255
    return array[:, ::-1] if draw.random() < 0.5 else array


def synthetic(size: int, draw: np.random.Generator) -> np.ndarray:
    """A flat colour with noise of a random strength and grain."""
    grain = int(draw.choice([1, 1, 2, 4, 8]))
    noise = draw.standard_normal((size // grain, size // grain, 3), np.float32)
    noise = noise.repeat(grain, 0).repeat(grain, 1) * draw.choice([0, 0.05, 0.1, 0.3])
    return draw.random(3, np.float32) + noise.astype(np.float32)


class Crops:
    """Draws what the student learns from.

    Args:
      photos: files.
      paintings: files.
    """

    def __init__(self, photos: list[Path], paintings: list[Path]) -> None:
        self.photos, self.paintings = (
            [images.to_pil(images.load(path)) for path in paths] for paths in (photos, paintings)
        )
        #: One entry a style transfer: float16 [states, CANVAS, CANVAS, 3], not clipped.
        self.pool: collections.deque[np.ndarray] = collections.deque(maxlen=POOL)

    def pair(self, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A photo and a painting to make a style transfer of."""
        return self._of(self.photos, CANVAS, draw), self._of(self.paintings, CANVAS, draw)

    def batch(self, draw: np.random.Generator) -> np.ndarray:
        """Float32 [batch, size, size, 3]; values beyond [0, 1] occur, as while optimising."""
        size = int(draw.choice(list(CROPS), p=list(CROPS.values())))
        count = max(2, round(_BATCH.value * (128 / size) ** 2))
        batch: list[np.ndarray] = []
        while len(batch) < count:
            kind = draw.random()
            if kind < 0.27 and self.pool:
                batch += self._two_states(size, draw)
                continue
            crop = self._any(size, draw)
            if kind < 0.4:
                share = np.float32(draw.random())
                crop = share * crop + (1 - share) * self._any(size, draw)
            elif kind < 0.5:
                strength = np.float32(np.exp(draw.uniform(np.log(0.01), np.log(0.3))))
                crop = crop + strength * draw.standard_normal(crop.shape, np.float32)
            elif kind < 0.55:
                crop = synthetic(size, draw)
            elif kind < 0.65:
                crop = (crop - 0.5) * draw.uniform(0.5, 1.5, 3).astype(np.float32) + 0.5
            batch.append(crop)
        return np.stack(batch[:count])

    def plain(self, size: int, count: int, draw: np.random.Generator) -> np.ndarray:
        """Float32 [count, size, size, 3]: crops, every eighth with noise."""
        crops = np.stack([self._any(size, draw) for _ in range(count)])
        crops[::8] += 0.1 * draw.standard_normal(crops[::8].shape, np.float32)
        return crops

    def _any(self, size: int, draw: np.random.Generator) -> np.ndarray:
        return self._of(self.photos if draw.random() < 0.5 else self.paintings, size, draw)

    def _of(self, pictures: list[Image.Image], size: int, draw: np.random.Generator) -> np.ndarray:
        return random_crop(pictures[draw.integers(len(pictures))], size, draw)

    def _two_states(self, size: int, draw: np.random.Generator) -> list[np.ndarray]:
        """The same window of two states of a style transfer: what changed, the teacher must say."""
        states = self.pool[draw.integers(len(self.pool))]
        top, left = draw.integers(0, CANVAS - size + 1, 2)
        turned = slice(None, None, int(draw.choice([-1, 1])))
        chosen = states[draw.choice(len(states), 2, replace=False)]
        window = chosen[:, top : top + size, left : left + size, :][:, :, turned]
        return list(window.astype(np.float32))


class Painter:
    """Style transfers as preset gatys2016 makes them, with a model whose weights may change."""

    def __init__(self, model: tf.keras.Model) -> None:
        recipe = presets.settings("gatys2016")
        self.objective = Objective(
            model,
            recipe.content_layers,
            recipe.style_layers,
            content_loss=recipe.content_loss,
            style_loss=recipe.style_loss,
        )
        self._solver = optimizers.create(recipe.optimizer)
        self._step = tf.function(lambda state: self._solver.step(self.objective, state))

    def set_targets(self, content: np.ndarray, style: np.ndarray) -> None:
        """Content and style image, CANVAS x CANVAS."""
        self.objective.set_content(content)
        self.objective.set_styles([style])

    def paint(self, start: np.ndarray, evaluations: int) -> np.ndarray:
        """The image at the start and after about 3, 6, 12, 24, ... evaluations, and at the end."""
        state = self._solver.init(self.objective, tf.constant(start[np.newaxis]))
        states, due = [start], 3
        while int(state.evaluations) < evaluations and not state.stalled:
            state = self._step(state)
            if int(state.evaluations) >= due:
                states.append(state.point.image[0].numpy())
                due *= 2
        states.append(state.point.image[0].numpy())
        return np.stack(states)


class Judge:
    """How good the student's style transfers of held-out pairs are in the teacher's eyes."""

    def __init__(self, teacher: Painter, pairs: list[tuple[Path, Path]], evaluations: int = 100):
        self._teacher, self._evaluations = teacher, evaluations
        self._pairs = [tuple(square(path) for path in pair) for pair in pairs]
        self._best: list[tuple[float, float]] = []
        for content, style in self._pairs:
            teacher.set_targets(content, style)
            self._best.append(self._losses(teacher.paint(content, evaluations)[-1]))

    def __call__(self, student: Painter) -> list[tuple[float, float]]:
        """By pair: [ln S(start) − ln S(student's)] / [ln S(start) − ln S(teacher's)], and
        C(student's) / C(teacher's), with the teacher's style loss S and content loss C."""
        verdicts = []
        for (content, style), (best_style, best_content) in zip(
            self._pairs, self._best, strict=True
        ):
            for painter in (student, self._teacher):
                painter.set_targets(content, style)
            start, _ = self._losses(content)
            found, kept = self._losses(student.paint(content, self._evaluations)[-1])
            gained = np.log(start / found) / np.log(start / best_style)
            verdicts.append((float(gained), kept / best_content))
        return verdicts

    def _losses(self, image: np.ndarray) -> tuple[float, float]:
        terms = self._teacher.objective(tf.constant(np.clip(image, 0, 1)[np.newaxis])).terms
        return float(terms["style"]), float(terms["content"])


class Student(tf.Module):
    """`mini` in units in which features and pixels are about 1, and its embeddings.

    Args:
      scales: RMS of the teacher's features by layer.
      draw: of the initial values.
    """

    def __init__(self, scales: dict[str, float], draw: np.random.Generator) -> None:
        super().__init__(name="student")
        self.kernels, self.biases, self.embeddings = {}, {}, {}
        before = 3
        for name, channels in CHANNELS.items():
            kernel = draw.standard_normal((3, 3, before, channels), np.float32)
            self.kernels[name] = tf.Variable(kernel * np.float32(np.sqrt(2 / (9 * before))))
            self.biases[name] = tf.Variable(tf.zeros(channels))
            before = channels
        for name in TAPS:
            shape = (layers.CHANNELS[name], CHANNELS[name])
            isometry = np.linalg.qr(draw.standard_normal(shape))[0].T
            scale = np.sqrt(layers.CHANNELS[name] / CHANNELS[name])
            self.embeddings[name] = tf.Variable((scale * isometry).astype(np.float32))
        self.scales = scales

    def __call__(self, pictures: tf.Tensor) -> Tensors:
        """Features of RGB pictures in [0, 1], at `TAPS`, divided by the teacher's scales."""
        maps = (pictures[..., ::-1] * 255 - vgg.MEAN_RGB[::-1]) / INPUT_SCALE
        found, block = {}, 1
        for name in CHANNELS:
            if layers.Layer(name).block > block:
                maps = tf.nn.max_pool2d(maps, 2, 2, "VALID")
                block += 1
            maps = tf.nn.conv2d(maps, self.kernels[name], 1, "SAME") + self.biases[name]
            maps = tf.nn.relu(maps)
            if name in TAPS:
                found[name] = maps
        return found

    def export(self) -> Weights:
        """The weights for Caffe's preprocessing, with features as large as the teacher's:
        kernel_l ← kernel_l s_l / s_(l−1), bias_l ← bias_l s_l."""
        kernels, biases, before = {}, {}, INPUT_SCALE
        for name in CHANNELS:
            scale = self.scales[name]
            kernels[name] = self.kernels[name].numpy() * np.float32(scale / before)
            biases[name] = self.biases[name].numpy() * np.float32(scale)
            before = scale
        return Weights(kernels, biases, "mini")


def thin(name: str, maps: tf.Tensor) -> tf.Tensor:
    """Every fourth or second position in the first blocks, where neighbours say the same."""
    step = {1: 4, 2: 2}.get(layers.Layer(name).block, 1)
    return maps[:, ::step, ::step]


def log_distances(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Mean over pairs i < j of ln²(|a_i − a_j|² / |b_i − b_j|²), each divided by its dimension."""

    def distances(values: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(values, [tf.shape(values)[0], -1])
        products = tf.matmul(flat, flat, transpose_b=True) / tf.cast(tf.shape(flat)[1], tf.float32)
        squares = tf.linalg.diag_part(products)
        # The floor: two flat colours have no distance deep in the network, and no logarithm.
        return tf.maximum(squares[:, None] + squares[None, :] - 2 * products, 0) + 1e-3

    ratio = tf.math.log(distances(student) / distances(teacher))
    count = tf.cast(tf.shape(ratio)[0], tf.float32)
    return tf.reduce_sum(tf.square(ratio)) / (count * (count - 1))


def compare(student: Student, pictures: tf.Tensor, features: Tensors, grams: Tensors) -> Tensors:
    """By tap: relative errors `feature` and `gram`, `distance` (see `log_distances`), `isometry`.

    Args:
      student: to be compared.
      pictures: [batch, height, width, 3].
      features: the teacher's, divided by its scales and thinned, any float type.
      grams: of these before thinning, float32.
    """
    found = {}
    for name, own in student(pictures).items():
        embedding, target = student.embeddings[name], tf.cast(features[name], tf.float32)
        outer, inner = layers.CHANNELS[name], CHANNELS[name]
        # The floors keep dark and flat crops, where the teacher says little, from dominating.
        error = tf.matmul(thin(name, own), embedding) - target
        error = tf.reduce_mean(tf.square(error), [1, 2, 3])
        size = tf.reduce_mean(tf.square(target), [1, 2, 3]) + 0.05
        found[f"feature/{name}"] = tf.reduce_mean(error / size)
        gram = losses.gram_matrix(own)
        embedded = tf.matmul(embedding, tf.matmul(gram, embedding), transpose_a=True)
        error = tf.reduce_mean(tf.square(embedded - grams[name]), [1, 2])
        size = tf.reduce_mean(tf.square(grams[name]), [1, 2]) + 0.002
        found[f"gram/{name}"] = tf.reduce_mean(error / size)
        is_content = name == "conv4_2"
        found[f"distance/{name}"] = log_distances(
            own if is_content else gram, target if is_content else grams[name]
        )
        product = tf.matmul(embedding, embedding, transpose_b=True) * (inner / outer)
        found[f"isometry/{name}"] = tf.reduce_sum(tf.square(product - tf.eye(inner))) / inner
    return found


#: Share of each comparison in the loss.
SHARES = {"feature": 1.0, "gram": 1.0, "distance": 0.2, "isometry": 0.03}


def total(terms: Tensors) -> tf.Tensor:
    """The loss: Σ share · tap's weight · term."""
    shares = ((*key.split("/"), term) for key, term in terms.items())
    return tf.add_n([SHARES[kind] * TAPS[name] * term for kind, name, term in shares])


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


def square(path: Path) -> np.ndarray:
    """The middle of a picture, CANVAS x CANVAS."""
    return images.cover(images.load(path), CANVAS, CANVAS)


def feature_scales(weights: Weights, paths: list[Path]) -> dict[str, float]:
    """RMS of the teacher's features by layer over some pictures."""
    model = vgg.build_model(list(CHANNELS), weights)
    maps = model(np.stack([square(path) for path in paths]))
    return {name: float(tf.sqrt(tf.reduce_mean(tf.square(maps[name])))) for name in CHANNELS}


def most_telling(features: np.ndarray, count: int) -> list[int]:
    """The channels of which a linear map explains most of the others, found greedily.

    Args:
      features: [positions, channels].
      count: of channels to choose.
    """
    left = features.T @ features
    # A channel that is almost silent would be amplified, with its errors, to explain the others.
    floor = 1e-2 * np.trace(left) / len(left)
    chosen: list[int] = []
    for _ in range(count):
        energy = np.maximum(np.diag(left), floor)
        explained = np.sum(np.square(left), 0) / energy
        explained[chosen] = -1
        chosen.append(int(np.argmax(explained)))
        column = left[:, chosen[-1]]
        left = left - np.outer(column, column) / energy[chosen[-1]]
    return chosen


def least_squares(inputs: np.ndarray, outputs: np.ndarray, ridge: float = 1e-4) -> np.ndarray:
    """The matrix W of least |inputs W − outputs|², with a ridge in units of the mean square."""
    square = inputs.T @ inputs
    square += ridge * np.trace(square) / len(square) * np.eye(len(square), dtype=square.dtype)
    return np.linalg.solve(square, inputs.T @ outputs)


def graft(student: Student, weights: Weights, crops: np.ndarray) -> None:
    """Starts the student from the teacher: layer by layer, its channels are the teacher's most
    telling ones, fitted to what the student has of the layer before.

    Args:
      student: whose kernels, biases and embeddings are set.
      weights: the teacher's.
      crops: float32 [many, height, width, 3].
    """
    model = vgg.build_model([f"{name}:pre" for name in CHANNELS], weights)
    # Deep maps have fewer positions: as many crops more give as many equations.
    counts = {name: len(crops) >> max(0, 4 - layers.Layer(name).block) for name in CHANNELS}
    found: dict[str, list[np.ndarray]] = {name: [] for name in CHANNELS}
    for at in range(0, len(crops), 8):
        for name, maps in model(crops[at : at + 8]).items():
            if at < counts[name[:7]]:
                found[name[:7]].append(maps.numpy())
    maps, block = (
        (crops[..., ::-1] * 255 - np.array(vgg.MEAN_RGB[::-1], np.float32)) / INPUT_SCALE,
        1,
    )
    for name, channels in CHANNELS.items():
        if layers.Layer(name).block > block:
            maps, block = tf.nn.max_pool2d(maps, 2, 2, "VALID").numpy(), block + 1
        before = np.concatenate(found.pop(name))[: counts[name]] / np.float32(student.scales[name])
        before = before.reshape(-1, before.shape[-1])
        target = np.maximum(before, 0)
        chosen = most_telling(target[:: len(target) // 8192], channels)
        loudness = np.sqrt(np.mean(target**2) / np.mean(target[:, chosen] ** 2))
        patches = tf.image.extract_patches(
            maps[: counts[name]], [1, 3, 3, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME"
        ).numpy()
        patches = patches.reshape(-1, patches.shape[-1])
        inputs = np.concatenate([patches, np.ones_like(patches[:, :1])], 1)
        fitted = least_squares(inputs, loudness * before[:, chosen])
        student.kernels[name].assign(fitted[:-1].reshape(3, 3, -1, channels))
        student.biases[name].assign(fitted[-1])
        own = np.maximum(inputs @ fitted, 0)
        if name in TAPS:
            student.embeddings[name].assign(least_squares(own, target, 1e-2))
        maps = np.concatenate(
            [
                tf.nn.relu(
                    tf.nn.conv2d(maps[at : at + 8], student.kernels[name], 1, "SAME")
                    + student.biases[name]
                )
                for at in range(0, len(maps), 8)
            ]
        )


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
        """Goes on from the newest checkpoint, where there is one."""
        if self._manager.restore_or_initialize():
            with np.load(self._pool_file) as pool:
                self.crops.pool.extend(pool[key] for key in pool.files)

    def save(self) -> None:
        """Writes a checkpoint, the pool, and the student's weights."""
        np.savez(self._pool_file, *self.crops.pool)
        self._manager.save()
        own = self.student.export()
        arrays = {f"{name}/kernel": own.kernels[name] for name in CHANNELS}
        arrays |= {f"{name}/bias": own.biases[name] for name in CHANNELS}
        part = Path(f"{_OUT.value}.part.npz")
        halves = {key: array.astype(np.float16) for key, array in arrays.items()}
        np.savez_compressed(part, **halves)  # type: ignore[arg-type]
        part.replace(_OUT.value)

    def learn(self, draw: np.random.Generator, rate: float) -> Tensors:
        """One step on a batch that the teacher saw, now or lately; returns its terms."""
        if int(self.step) % _REUSE.value == 0 or not self._lessons:
            pictures = tf.constant(self.crops.batch(draw))
            self._lessons.append((pictures, *self._teach(pictures)))
        self.step.assign_add(1)
        return self._learn(*self._lessons[draw.integers(len(self._lessons))], tf.constant(rate))

    def examine(self, pictures: list[np.ndarray]) -> dict[str, float]:
        """The terms' means over pictures of one size."""
        batches = [np.stack(pictures[at::3]) for at in range(3)]
        found = [self._compare(batch, *self._teach(batch)) for batch in map(tf.constant, batches)]
        return {key: float(np.mean([terms[key] for terms in found])) for key in found[0]}

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
            painter, evaluations = self.copy_student(), int(np.exp(draw.uniform(2.7, 4.8)))
        content, style = self.crops.pair(draw)
        noise = np.clip(draw.normal(0.5, 0.1, content.shape), 0, 1).astype(np.float32)
        start = content if draw.random() < 0.8 else noise
        painter.set_targets(content, style)
        states = [style, *painter.paint(start, evaluations)]
        self.crops.pool.append(np.clip(states, -8, 8).astype(np.float16))

    @tf.function(reduce_retracing=True)
    def _teach(self, pictures: tf.Tensor) -> tuple[Tensors, Tensors]:
        maps = {name: one / self._scales[name] for name, one in self._teacher(pictures).items()}
        grams = {name: losses.gram_matrix(one) for name, one in maps.items()}
        return {name: thin(name, one) for name, one in maps.items()}, grams

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
        numbers = (f"{name} {terms[f'{kind}/{name}']:.3f}" for name in TAPS)
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
            means = {key: float(np.mean([one[key] for one in recent])) for key in recent[-1]}
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
        graft(run.student, weights, run.crops.plain(128, 192, np.random.default_rng(_SEED.value)))
    pairs = list(zip(held_photos, held_paintings, strict=False))[: _JUDGED.value]
    judge = Judge(Painter(vgg.build_model(list(TAPS), weights)), pairs) if pairs else None
    with tf.summary.create_file_writer(_DIRECTORY.value).as_default():
        train(run, judge, [square(path) for path in (*held_photos, *held_paintings)])


if __name__ == "__main__":
    app.run(main)
