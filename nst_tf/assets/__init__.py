"""The files that the package brings along, by name."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent

#: A procedural landscape and a procedural painting, made by `scripts/make_pictures.py`.
SCENE = _HERE / "scene.png"
PAINTING = _HERE / "painting.png"

#: Four procedural textures of 96 x 96 pixels, made by `scripts/make_textures.py`.
TEXTURES = {name: _HERE / f"texture_{name}.png" for name in ("weave", "bricks", "cells", "grain")}

#: Mean activations of ImageNet's VGG19 and of `mini`, measured by `scripts/measure_means.py`.
VGG19_MEANS = _HERE / "vgg19_means.npz"
MINI_MEANS = _HERE / "mini_means.npz"

#: The built-in feature network, distilled from VGG19 by `scripts/distill_mini.py`.
MINI = _HERE / "mini.npz"

#: The stylizer that a training begins with, made by `scripts/make_base.py`.
STYLIZER = _HERE / "stylizer.npz"

#: The page of an experiment or of the judge, a template for jinja2.
PAGE = _HERE / "page.html.j2"

#: The pairs of pictures that methods are compared on, by the name of the list.
PROTOCOLS = _HERE / "protocols.json"

#: The page that asks which of two results is better, a template for jinja2.
VOTE = _HERE / "vote.html.j2"

#: The studio's page, with its style sheet and its scripts.
STUDIO = _HERE / "studio"
