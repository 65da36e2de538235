"""What follows from the settings' sizes."""

from __future__ import annotations

from nst_tf.recipe.settings import Settings

#: The longer side at which, with several scales, iterations and evaluations are as the settings
#: have them.
REFERENCE = 512


def scaled(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Height and width of a picture that is scaled to `size` pixels on the longer side."""
    factor = size / max(shape)
    return max(1, round(factor * shape[0])), max(1, round(factor * shape[1]))


def seen_at(settings: Settings, longer: int) -> int | None:
    """Longer side of the style images in pixels, of a result with `longer`; None for their own."""
    if settings.style_size is None and settings.stroke_size != 1:
        return max(1, round(longer * settings.stroke_size))
    return settings.style_size or settings.size


def steps_factor(settings: Settings, scale: int) -> float:
    """How many times the settings' iterations or evaluations a scale of so many pixels gets."""
    return 1.0 if settings.min_scale is None else REFERENCE / scale
