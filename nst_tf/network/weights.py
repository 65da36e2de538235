"""Where the network's numbers come from: Keras' download, a file, the built-in `mini`, a draw."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nst_tf import assets, reading
from nst_tf.errors import FileError, WeightsError, in_bytes
from nst_tf.recipe import layers

#: Names the weights to use where the caller names none.
ENVIRONMENT_VARIABLE = "NST_TF_WEIGHTS"

#: Bytes that a file's arrays may have once they are unpacked: VGG19's, in float64, have 160 MB.
_MOST = 256 << 20


@dataclass(frozen=True)
class Weights:
    """The numbers of a VGG19-shaped network.

    Attributes:
      kernels: float32 [3, 3, channels in, channels out] by layer name (`conv1_1`), for BGR input
        in 0-255 with the ImageNet mean subtracted, as Caffe's VGG19 takes it.
      biases: float32 [channels out] by layer name.
      source: where they came from, in words for people and for the run's manifest.
      file_sha256: SHA-256 of the file that was read, None where there was none.
      kind: `imagenet`, `mini` or `random` where they were asked for by that name, else `file`.
    """

    kernels: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]
    source: str
    file_sha256: str | None = None
    kind: str = "file"

    @property
    def channels(self) -> dict[str, int]:
        """How many of them each layer gives, by its name."""
        return {name: kernel.shape[-1] for name, kernel in self.kernels.items()}

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the numbers themselves (kernel, bias, layer by layer): the same for the same
        network, whatever file format it came in."""
        digest = hashlib.sha256()
        for name in self.kernels:
            digest.update(np.ascontiguousarray(self.kernels[name], "<f4").tobytes())
            digest.update(np.ascontiguousarray(self.biases[name], "<f4").tobytes())
        return digest.hexdigest()

    @property
    def identity(self) -> dict[str, str | None]:
        """What tells them from others, and where they were found, as plain values."""
        told = {"source": self.source, "kind": self.kind}
        return {**told, "sha256": self.sha256, "file_sha256": self.file_sha256}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes them as `.npz`, with keys `conv1_1/kernel` and `conv1_1/bias`, for `load`."""
        arrays = {f"{name}/kernel": kernel for name, kernel in self.kernels.items()}
        arrays |= {f"{name}/bias": bias for name, bias in self.biases.items()}
        np.savez(path, **arrays)  # type: ignore[arg-type]


def vgg19_means() -> dict[str, np.ndarray]:
    """The mean activation of every filter of ImageNet's VGG19, measured on natural pictures.

    Returns:
      float32 [channels] by layer name; `assets/vgg19_means.txt` says on which pictures and how.
    """
    return _read_means(assets.VGG19_MEANS)[1]


def known_means(weights: Weights) -> dict[str, np.ndarray] | None:
    """Such means of a network for which they are bundled, ImageNet's VGG19 or `mini`; else None.

    It is recognised by the fingerprint of its first layer.
    """
    bundled = map(_read_means, (assets.VGG19_MEANS, assets.MINI_MEANS))
    return next((means for known, means in bundled if known == fingerprint(weights)), None)


def recognise(weights: Weights) -> str | None:
    """`vgg19` or `mini`, in whatever file they are, by the fingerprint of the first layer; or None.

    Args:
      weights: of the network.
    """
    bundled = {"vgg19": assets.VGG19_MEANS, "mini": assets.MINI_MEANS}
    own = fingerprint(weights)
    return next((name for name, path in bundled.items() if _read_means(path)[0] == own), None)


def _read_means(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    with np.load(path, allow_pickle=False) as archive:
        means = {name: archive[name] for name in layers.NAMES if name in archive}
        return str(archive["fingerprint"]), means


def fingerprint(weights: Weights) -> str:
    """SHA-256 of conv1_1's numbers: enough to know a network by, whatever became of the rest."""
    return Weights(
        {"conv1_1": weights.kernels["conv1_1"]}, {"conv1_1": weights.biases["conv1_1"]}, ""
    ).sha256


def load(source: str | os.PathLike[str] | Weights | None = None, *, seed: int = 0) -> Weights:
    """The network's weights from wherever `source` says.

    Args:
      source: `imagenet` (keras.applications' VGG19, kept in Keras' cache); `mini` (the built-in
        network, VGG19's layers up to conv5_1 with fewer channels); `random`; a file
        (`.h5`, `.weights.h5` or `.npz`); weights already loaded; `auto` for the file or name in
        the environment variable `NST_TF_WEIGHTS`, else `imagenet` if it is in Keras' cache, else
        `mini`. None is like `auto`, but without the variable always `imagenet`.
      seed: of the random draw.

    Raises:
      WeightsError: they cannot be had or do not fit; its text says which choices work here.
    """
    if isinstance(source, Weights):
        return source
    name, origin = _named(source)
    if name == "imagenet":
        return _imagenet()
    if name == "random":
        return random(seed)
    return _read(name, origin)


def at_once(source: str | os.PathLike[str] | Weights | None) -> Any:
    """The network, where it can be read without TensorFlow; else the source as it is, for `load`.

    Raises:
      WeightsError: as `load`.
    """
    if isinstance(source, Weights):
        return source
    name, origin = _named(source)
    return source if name in ("imagenet", "random") else _read(name, origin)


def _named(source: Any) -> tuple[str | os.PathLike[str], str]:
    """The name or file that a source stands for, and who says so, in words for an error."""
    origin = ""
    if source is None or source == "auto":
        named = os.environ.get(ENVIRONMENT_VARIABLE)
        origin = f" (from ${ENVIRONMENT_VARIABLE})" if named else ""
        cached = source is None or _keras_cache().is_file()
        source = named or ("imagenet" if cached else "mini")
    if not isinstance(source, (str, os.PathLike)):
        raise WeightsError(f"weights are {source!r}: use a name or a path; {_choices()}")
    return source, origin


def _read(name: str | os.PathLike[str], origin: str) -> Weights:
    if name == "mini":
        mini = _from_file(assets.MINI, "")
        return replace(mini, source="mini (built in, distilled from VGG19)", kind="mini")
    return _from_file(name, origin)


def random(seed: int = 0) -> Weights:
    """He-normal kernels and zero biases, each layer scaled to ImageNet's VGG19's mean activation.

    He et al., "Delving Deep into Rectifiers", arXiv:1502.01852, equation 10, then scaled layer by
    layer on a fixed picture with a natural spectrum, so that the losses and a preset's loss weights
    are comparable with the trained network's. Untrained filters move colours and carry no
    brush strokes; they show what the training of the network contributes.

    Args:
      seed: the same seed gives the same numbers.
    """
    import tensorflow as tf

    draw = np.random.default_rng(seed)
    target = {name: float(means.mean()) for name, means in vgg19_means().items()}
    kernels, biases = {}, {}
    maps = tf.constant(_natural_noise(np.random.default_rng(0), 128)[np.newaxis])
    block = 1
    for name, channels in layers.CHANNELS.items():
        if layers.parse(name).block > block:
            block += 1
            maps = tf.nn.max_pool2d(maps, 2, 2, "VALID")
        fan_in = 9 * maps.shape[-1]
        kernel = draw.standard_normal((3, 3, maps.shape[-1], channels), np.float32)
        kernel *= np.float32(np.sqrt(2 / fan_in))
        maps = tf.nn.relu(tf.nn.conv2d(maps, kernel, 1, "SAME"))
        scale = np.float32(target[name] / float(tf.reduce_mean(maps)))
        maps *= scale
        kernels[name] = kernel * scale
        biases[name] = np.zeros(channels, np.float32)
    return Weights(kernels, biases, f"random (He normal, seed {seed})", kind="random")


def _natural_noise(draw: np.random.Generator, size: int) -> np.ndarray:
    """Float32 [size, size, 3] noise with amplitudes 1/f, as photographs have: std 60 around 0."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    spectrum = np.fft.rfft2(draw.standard_normal((size, size, 3)), axes=(0, 1))
    spectrum /= np.maximum(frequency, 1 / size)[..., np.newaxis]
    noise = np.fft.irfft2(spectrum, s=(size, size), axes=(0, 1))
    return (60 * noise / noise.std()).astype(np.float32)


def channels(network: Any) -> dict[str, int]:
    """How many channels each layer of a network has.

    Args:
      network: from `at_once`: where it is not read yet, VGG19.
    """
    return network.channels if isinstance(network, Weights) else layers.CHANNELS


def _keras_cache() -> Path:
    home = os.environ.get("KERAS_HOME")
    directory = Path(home) if home else Path.home() / ".keras"
    return directory / "models" / "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"


def found() -> dict[str, Path]:
    """The files that weights are read from here without a download, by name: `imagenet` (in Keras'
    cache) and `mini`, and `$NST_TF_WEIGHTS` where it names a file. Whether each is there is not
    looked at."""
    files = {"imagenet": _keras_cache(), "mini": assets.MINI}
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named and named not in ("imagenet", "mini", "random", "auto"):
        files[f"${ENVIRONMENT_VARIABLE}"] = Path(named)
    return files


def _choices() -> str:
    """The choices that work on this machine, for the end of an error's line."""
    works = ["'mini' (built in)", "'random' (no brush strokes)"]
    if _keras_cache().is_file():
        works.insert(0, "'imagenet' (in Keras' cache)")
    path = os.environ.get(ENVIRONMENT_VARIABLE)
    if path and _is_file(Path(path)):
        works.insert(0, path)
    return f"what works here: {', '.join(works)}, or a VGG19 file (.h5, .weights.h5, .npz)"


def _imagenet() -> Weights:
    import tensorflow as tf

    try:
        network = tf.keras.applications.VGG19(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception where the download fails
        reason = " ".join(str(error).split())
        raise WeightsError(f"no ImageNet weights: {reason}; {_choices()}") from error
    pairs = {name: network.get_layer(_keras_name(name)).get_weights() for name in layers.NAMES}
    return Weights(
        {name: kernel for name, (kernel, _) in pairs.items()},
        {name: bias for name, (_, bias) in pairs.items()},
        "imagenet (keras.applications)",
        reading.sha256(_keras_cache()) if _keras_cache().is_file() else None,
        "imagenet",
    )


def _keras_name(name: str) -> str:
    return f"block{name[4]}_conv{name[6]}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no file system takes such a name
        return False


def _from_file(source: str | os.PathLike[str], origin: str) -> Weights:
    where, path = f"{source}{origin}", Path(source)
    try:
        file = reading.opened(source, reading.MOST_WEIGHTS)
    except FileError as error:
        raise WeightsError(f"no weights file {where}: {error}; {_choices()}") from error
    try:
        with file:
            arrays = _read_npz(file) if path.suffix == ".npz" else _read_h5(file)
            sha256 = reading.sha256_of(file)
    except WeightsError as error:
        raise WeightsError(f"{where} {error}; {_choices()}") from error
    except Exception as error:  # zip, zlib and HDF5 each raise what they like for a bad file
        reason = " ".join(str(error).split())
        if "pickle" in reason:  # NumPy says how to load them all the same, which runs what is there
            reason = "it holds Python objects, not numbers"
        raise WeightsError(
            f"{where} is not a readable .h5, .weights.h5 or .npz file, or is cut short "
            f"({reason}); {_choices()}"
        ) from error
    kernels, biases = _recognise(arrays, where)
    return Weights(kernels, biases, str(path), sha256)


def _read_npz(file: BinaryIO) -> dict[str, np.ndarray]:
    """Every array in a NumPy archive that could belong to a convolution, by its name.

    What it unpacks to, and of what type it is, is in its heads and looked at before.
    """
    arrays: dict[str, np.ndarray] = {}
    # NumPy takes anything else for a pickle, and leaves a file open that it cannot read.
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if _layer_of(member.filename)]
        _check_unpacked(sum(member.file_size for member in members))
        for member in members:
            with archive.open(member) as part:
                arrays[member.filename] = np.lib.format.read_array(part, allow_pickle=False)
    return arrays


def _read_h5(file: BinaryIO) -> dict[str, np.ndarray]:
    """Every array in an HDF5 file that could belong to a convolution, by its path in the file."""
    import h5py

    found: dict[str, Any] = {}

    def visit(key: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (1, 4) and _layer_of(key):
            if item.external or item.is_virtual:
                raise WeightsError(f"keeps {key} in another file: give one that holds it")
            if item.dtype.kind in "fiu":
                found[key] = item

    with h5py.File(file, "r") as archive:
        archive.visititems(visit)
        _check_unpacked(sum(item.nbytes for item in found.values()))
        return {key: item[()] for key, item in found.items()}


def _check_unpacked(count: int) -> None:
    if count > _MOST:
        raise WeightsError(f"is no VGG19: its layers unpack to {in_bytes(count)}")


def _recognise(
    arrays: Mapping[str, np.ndarray], where: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Finds VGG19's kernels and biases among the arrays of a file.

    Three ways of naming them are known: by layer in either notation (`conv1_1/kernel`,
    `block1_conv1/block1_conv1_W_1:0`), and the numbered `conv2d`, `conv2d_1`, ... of Keras'
    `.weights.h5`, which are in the network's order.
    """
    kernels: dict[str, np.ndarray] = {}
    biases: dict[str, np.ndarray] = {}
    for key, array in arrays.items():
        name = _layer_of(key)
        if name and array.ndim in (1, 4) and array.dtype.kind in "fiu":
            if array.dtype.kind != "f":
                raise WeightsError(
                    f"{where}: {key} holds whole numbers ({array.dtype}), which no trained network "
                    f"has, perhaps cut off; {_choices()}"
                )
            (kernels if array.ndim == 4 else biases)[name] = array.astype(np.float32)
    if not kernels and not biases:
        raise WeightsError(f"{where} holds no VGG19: it names no layer conv1_1; {_choices()}")
    width = biases.get("conv1_1", np.zeros(0)).shape[0]
    network = next(
        (channels for channels in layers.NETWORKS if channels["conv1_1"] == width), layers.CHANNELS
    )
    shape_in = 3
    for name, channels in network.items():
        for by_layer, kind, shape in (
            (kernels, "kernel", (3, 3, shape_in, channels)),
            (biases, "bias", (channels,)),
        ):
            if name not in by_layer:
                raise WeightsError(f"{where} is not VGG19: no {kind} of {name}; {_choices()}")
            if by_layer[name].shape != shape:
                raise WeightsError(
                    f"{where} is not VGG19: the {kind} of {name} has the shape "
                    f"{list(by_layer[name].shape)} instead of {list(shape)}; {_choices()}"
                )
            if not np.isfinite(by_layer[name]).all():
                raise WeightsError(f"{where}: the {kind} of {name} is not finite; {_choices()}")
        if not kernels[name].any():
            raise WeightsError(f"{where}: the kernel of {name} is 0 everywhere; {_choices()}")
        shape_in = channels
    return {name: kernels[name] for name in network}, {name: biases[name] for name in network}


def _layer_of(key: str) -> str | None:
    """The layer that an array's name in a file speaks of, None where it speaks of none."""
    if match := re.search(r"(?:block(\d)_conv|conv(\d)_)(\d)(?!\d)", key):
        name = f"conv{match[1] or match[2]}_{match[3]}"
        return name if name in layers.CHANNELS else None
    if match := re.search(r"(?:^|[/\\])conv2d(?:_(\d+))?[/\\]vars[/\\]", key):
        number = int(match[1] or 0)
        return layers.NAMES[number] if number < len(layers.NAMES) else None
    return None
