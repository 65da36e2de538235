"""What a page asks for, read: nothing of it is taken for granted."""

from __future__ import annotations

from typing import Any

from nst_tf.errors import SettingsError

#: What a mask is of that is no painting's.
PROTECT = "protect"


def alike(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether orders take as long, for their size."""
    return all(one.get(key) == other.get(key) for key in ("preset", "network", "evaluations"))


def read(wanted: Any) -> tuple[str, list[str], dict[str, str], dict[str, str]]:
    """What an order consists of, of what a page has sent.

    Raises:
      SettingsError: it is none.
    """
    if not isinstance(wanted, dict):
        raise SettingsError("that is no order")
    content, styles, cells = (wanted.get(key) for key in ("content", "styles", "cells"))
    if not isinstance(content, str):
        raise SettingsError("choose a photo")
    if not isinstance(styles, list) or not 1 <= len(styles) <= 8:
        raise SettingsError("choose a painting, or up to eight")
    if not isinstance(cells, dict) or len(cells) > 100:
        raise SettingsError("that is no order")
    words = {str(key): str(value)[:200] for key, value in cells.items() if value not in ("", None)}
    masks = wanted.get("masks") or {}
    known = {*map(str, styles), PROTECT}
    if not isinstance(masks, dict) or not masks.keys() <= known:
        raise SettingsError("a mask is of one of the paintings, or of what stays photo")
    return content, [str(style) for style in styles], words, masks
