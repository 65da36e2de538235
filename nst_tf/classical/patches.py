"""One patch against the patches at all positions of a picture, by the Fourier transform."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import fft

from nst_tf.errors import SettingsError


class Target(NamedTuple):
    """What a patch should look like.

    Attributes:
      patch: float64 [rows, columns, channels].
      weights: what each of its values counts for, not negative, of a shape that broadcasts to it.
    """

    patch: np.ndarray
    weights: np.ndarray


class Patches:
    """The patches of a picture, to be compared with many others of any size.

    With weights W and a wanted patch T, the patch of the picture S at position p differs by

        d(p) = Σ_q W(q) (S(p + q) − T(q))²
             = Σ_q W(q) S(p + q)² − 2 Σ_q W(q) T(q) S(p + q) + Σ_q W(q) T(q)²,

    and the first two sums are correlations: products of spectra. The spectra of S and S² are made
    once; the first sum, which quilting asks for with the same few weights again and again, is made
    once for each.
    """

    def __init__(self, picture: np.ndarray) -> None:
        """
        Args:
          picture: float64 [height, width, channels], any number of channels.
        """
        self.picture = picture
        # Positions whose patch lies inside the picture never reach what wraps around.
        self._sides = tuple(fft.next_fast_len(side, real=True) for side in picture.shape[:2])
        self._spectra = self._transform(picture)
        self._square_spectra = self._transform(picture**2)
        self._squares: dict[tuple[tuple[int, ...], bytes], np.ndarray] = {}

    def distances(self, targets: Iterable[Target]) -> np.ndarray:
        """The squared differences of every patch from all of the targets: Σ_targets d(p).

        Args:
          targets: at least one, all of one shape, no larger than the picture and with its channels.

        Returns:
          float64 [height − rows + 1, width − columns + 1]; rounding never makes it negative.

        Raises:
          SettingsError: the patch is larger than the picture, or has other channels.
        """
        targets = list(targets)
        weights = np.sum([np.broadcast_to(t.weights, t.patch.shape) for t in targets], 0)
        wanted = np.sum([t.weights * t.patch for t in targets], 0)
        constant = sum(float(np.sum(t.weights * t.patch**2)) for t in targets)
        self._check(wanted.shape)
        key = weights.shape, weights.tobytes()
        if key not in self._squares:
            self._squares[key] = self._correlate(self._square_spectra, weights)
        found = self._squares[key] - 2 * self._correlate(self._spectra, wanted)
        return np.maximum(found + constant, 0)

    def _check(self, shape: tuple[int, ...]) -> None:
        sides = zip(shape[:2], self.picture.shape[:2], strict=True)
        if any(a > b for a, b in sides) or shape[2:] != self.picture.shape[2:]:
            raise SettingsError(
                f"a patch of {list(shape)} in a picture of {list(self.picture.shape)}: "
                "give one that is no larger, with as many channels"
            )

    def _transform(self, patch: np.ndarray) -> np.ndarray:
        """The spectra of the channels, complex [channels, rows, columns]."""
        # Rows first: those beyond a small patch are zero, and need no transform.
        rows = fft.rfft(np.moveaxis(patch, -1, 0), self._sides[1], axis=2)
        return fft.fft(rows, self._sides[0], axis=1)

    def _correlate(self, spectra: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Σ_q Σ_channels kernel(q) S(p + q) at every position p where the kernel fits."""
        product = np.einsum("chw,chw->hw", spectra, self._transform(kernel).conj())
        height, width = (
            side - part + 1
            for side, part in zip(self.picture.shape[:2], kernel.shape[:2], strict=True)
        )
        columns = fft.ifft(product, axis=0)[:height]
        return fft.irfft(columns, self._sides[1], axis=1)[:, :width]
