"""The experiments that are runs of one algorithm under varied settings: what each one varies.

The figures are those of Gatys, Ecker and Bethge, arXiv:1508.06576 (figures 1 to 3) and CVPR 2016
(figures 2 to 6), and those that lectures on the algorithm add.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_tf.errors import SettingsError
from nst_tf.experiments.plan import Cell, Curves, Inputs, Panel, Plan, Row, Sweep, plain, sweep
from nst_tf.pictures import initial
from nst_tf.recipe import presets
from nst_tf.recipe.settings import Settings

#: One convolution of every block, which every network of this package has.
_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


def _cell(inputs: Inputs, settings: Settings, name: str, **varied: Any) -> Cell:
    return Cell(name, varied, settings, inputs.content, inputs.styles, inputs.weights)


def _curves(title: str, cells: Mapping[str, Cell], *axes: str) -> list[Curves]:
    return [Curves(title, cells, x) for x in axes or ("evaluations",)]


@sweep("the weight of style, from texture to photo")
def ratio(inputs: Inputs) -> Plan:
    base = inputs.settings("ratio-sweep-base", iterations=200)
    cells = {
        f"β = {beta:g}": _cell(
            inputs, base.replace(style_weight=beta), f"beta-{beta:g}", style_weight=beta
        )
        for beta in sorted(inputs.numbers(1e-2, 1e-1, 1, 1e1, 1e2, 1e4), reverse=True)
    }
    return Plan(
        "ratio",
        "The weight of style",
        f"α stays {base.content_weight:g}, β falls from left to right: from the painting's texture "
        "to the photo. Gatys et al., CVPR 2016, figure 4.",
        [Row(f"α = {base.content_weight:g}", [Panel(cell, name) for name, cell in cells.items()])],
        [
            Curves("Content loss", cells, term="content"),
            Curves("Style loss", cells, term="style"),
        ],
    )


@sweep("step length against the number of iterations")
def learning_rate(inputs: Inputs) -> Plan:
    iterations = inputs.moments(inputs.changes.get("snapshots", ()), (50, 100, 200, 300))
    base = inputs.comparable(iterations=max(iterations)).replace(snapshots=iterations)
    rates = inputs.numbers(0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
    cells = {
        f"step {rate:g}": _cell(
            inputs, base.replace(learning_rate=rate), f"rate-{rate:g}", learning_rate=rate
        )
        for rate in rates
    }
    return Plan(
        "learning-rate",
        "Step length and iterations",
        f"Every row is one run of {base.optimizer} with its step length; the columns are the same "
        "run after more iterations.",
        [
            Row(name, [Panel(cell, f"{n} iterations", n) for n in iterations])
            for name, cell in cells.items()
        ],
        _curves("Loss", cells, "iterations"),
    )


@sweep("style from one layer at a time, and from more and more of them")
def style_layers(inputs: Inputs) -> Plan:
    base = inputs.comparable()
    names = inputs.layers(*base.style_layers)

    def cell(some: Mapping[str, float], name: str) -> Cell:
        return _cell(inputs, base.replace(style_layers=some), name, style_layers=" ".join(some))

    alone = {name: cell({name: 1.0}, f"only-{plain(name)}") for name in names}
    together = {
        caption: cell(some, f"up-to-{plain(list(some)[-1])}") if len(some) > 1 else alone[caption]
        for caption, some in _growing(names).items()
    }
    return Plan(
        "style-layers",
        "Which layers the style is taken from",
        "Style from one layer at a time, and from that layer and all before it: from colours and "
        "grain to strokes to whole forms. The network is normalised, and the layers share the "
        "weight equally. Gatys et al., arXiv:1508.06576, figure 3.",
        [
            Row("one layer", [Panel(cell, name) for name, cell in alone.items()]),
            Row("up to it", [Panel(cell, name) for name, cell in together.items()]),
        ],
    )


@sweep("content from one layer at a time")
def content_layers(inputs: Inputs) -> Plan:
    base = inputs.comparable()
    cells = {
        name: _cell(
            inputs,
            base.replace(content_layers={name: 1.0}),
            f"content-{plain(name)}",
            content_layers=name,
        )
        for name in inputs.layers("conv1_1", "conv2_1", "conv3_1", "conv4_2", "conv5_1")
    }
    return Plan(
        "content-layers",
        "Which layer the content is taken from",
        "A low layer keeps the photo's pixels, a high one what is where, and leaves the strokes "
        "free. The network is normalised, so that the weights mean the same in every layer. Gatys "
        "et al., CVPR 2016, figure 5.",
        [Row("content from", [Panel(cell, name) for name, cell in cells.items()])],
    )


@sweep("the same painting at several sizes")
def style_sizes(inputs: Inputs) -> Plan:
    base = inputs.settings()
    cells = {
        f"{size} px": _cell(inputs, base.replace(style_size=size), f"style-{size}", style_size=size)
        for size in inputs.whole_numbers(96, 192, 384, 768)
    }
    return Plan(
        "style-sizes",
        "The size of the painting",
        f"The photo stays at {base.size or 'its own'} pixels; the painting is measured at several "
        "sizes. The larger it is, the larger are its strokes.",
        [Row("painting at", [Panel(cell, name) for name, cell in cells.items()])],
    )


@sweep("loss against evaluations and seconds, by optimizer")
def optimizers(inputs: Inputs) -> Plan:
    base = inputs.settings()
    names, notes = inputs.words("gd", "adam", "lbfgs", "tfp-lbfgs"), []
    if not inputs.values and importlib.util.find_spec("tensorflow_probability") is None:
        names.remove("tfp-lbfgs")
        notes.append("tfp-lbfgs is left out: pip install 'nst_tf[tfp]'")
    cells = {
        name: _cell(inputs, base.replace(optimizer=name), plain(name), optimizer=name)
        for name in names
    }
    return Plan(
        "optimizers",
        "How the image descends",
        f"The same loss from the same start, {_end(base)} each. An evaluation is one loss and "
        "gradient; seconds are counted from the first iteration on, which also compiles.",
        [Row("after the run", [Panel(cell, name) for name, cell in cells.items()])],
        _curves("Loss", cells, "evaluations", "seconds"),
        notes,
    )


@sweep("where the run starts")
def init(inputs: Inputs) -> Plan:
    base = inputs.comparable()
    kinds = inputs.words("noise", "content", "style", "blank", "blurred")
    rows = []
    for kind in kinds:
        initial.parse(kind)
        seeds = range(base.seed, base.seed + 3) if kind == "noise" else (base.seed,)
        rows += [(kind, seed, f"noise, seed {seed}" if kind == "noise" else kind) for seed in seeds]
    cells = {
        caption: _cell(
            inputs,
            base.replace(init=kind, seed=seed),
            f"init-{plain(kind)}-{seed}",
            init=kind,
            seed=seed,
        )
        for kind, seed, caption in rows
    }
    return Plan(
        "init",
        "Where the run starts",
        "The same loss from several initial images. Other noise gives another picture; the photo "
        "and the painting lean towards themselves. Gatys et al., CVPR 2016, figure 6.",
        [Row("start", [Panel(cell, name) for name, cell in cells.items()])],
        _curves("Loss", cells),
    )


@sweep("a photo from one layer's features, a texture from more and more layers' Gram matrices")
def reconstruct(inputs: Inputs) -> Plan:
    base = inputs.comparable(init="noise")
    chosen = inputs.layers(*_LAYERS)
    photos = {
        name: _cell(
            inputs,
            base.replace(content_layers={name: 1.0}, style_layers={}),
            f"photo-{plain(name)}",
            of="content",
            layers=name,
        )
        for name in chosen
    }
    textures = {
        caption: _cell(
            inputs,
            base.replace(content_layers={}, style_layers=some),
            f"texture-{plain(list(some)[-1])}",
            of="style",
            layers=" ".join(some),
        )
        for caption, some in _growing(chosen).items()
    }
    return Plan(
        "reconstruct",
        "What a layer knows",
        "Above, the photo made again from noise out of one layer's feature maps: low layers keep "
        "every pixel, high ones what is where. Below, the painting's texture from Gram matrices: "
        "the more layers, the larger the forms. Gatys et al., arXiv:1508.06576, figure 1.",
        [
            Row("content from", [Panel(cell, name) for name, cell in photos.items()]),
            Row("style from", [Panel(cell, name) for name, cell in textures.items()]),
        ],
    )


@sweep("trained and random networks")
def network(inputs: Inputs) -> Plan:
    base = inputs.comparable()
    seeds = inputs.whole_numbers(0, 1, 2)
    networks = {weights: base.seed for weights in (inputs.weights, "mini") if weights != "random"}
    cells = {
        weights: Cell(
            f"network-{plain(weights.rpartition('/')[2])}",
            {"weights": weights, "seed": seed},
            base,
            inputs.content,
            inputs.styles,
            weights,
        )
        for weights, seed in networks.items()
    }
    for seed in seeds:
        settings = base.replace(seed=seed)
        varied = {"weights": "random", "seed": seed}
        cells[f"random, seed {seed}"] = Cell(
            f"network-random-{seed}", varied, settings, inputs.content, inputs.styles, "random"
        )
    return Plan(
        "network",
        "What training contributes",
        "The same run with a trained network, with the small one distilled from it, and with "
        "random ones, all normalised. Random filters know colours and contrasts, but no strokes.",
        [Row("network", [Panel(cell, name) for name, cell in cells.items()])],
    )


@sweep("one photo in many styles, and from one painting to another")
def styles(inputs: Inputs) -> Plan:
    base = inputs.settings()
    shares = inputs.numbers(0.25, 0.5, 0.75)
    if max(shares) > 1:
        raise SettingsError(f"the value {max(shares):g}: a share is at most 1")
    if len(inputs.styles) < 2:
        raise SettingsError("styles: name at least two style images")
    each = {
        f"painting {number}": Cell(
            f"style-{number}",
            {"style": Path(style).name},
            base,
            inputs.content,
            (style,),
            inputs.weights,
        )
        for number, style in enumerate(inputs.styles, start=1)
    }
    rows = [Row("one painting", [Panel(cell, name) for name, cell in each.items()])]
    for number, pair in enumerate(zip(inputs.styles, inputs.styles[1:], strict=False), start=1):
        ends = [each[f"painting {number + side}"] for side in (0, 1)]
        between = [
            Cell(
                f"blend-{number}-{number + 1}-{share:g}",
                {"style": ", ".join(Path(style).name for style in pair), "share": share},
                base.replace(style_blend=(1 - share, share)),
                inputs.content,
                pair,
                inputs.weights,
            )
            for share in shares
        ]
        panels = [
            Panel(cell, f"{1 - cell.varied['share']:g} : {cell.varied['share']:g}")
            for cell in between
        ]
        rows.append(
            Row(
                f"{number} to {number + 1}",
                [Panel(ends[0], "1 : 0"), *panels, Panel(ends[1], "0 : 1")],
            )
        )
    return Plan(
        "styles",
        "One photo, many paintings",
        "Every painting by itself, then from each to the next: the Gram matrices of the two are "
        "blended in the shares written below.",
        rows,
    )


@sweep("how a run unfolds")
def snapshots(inputs: Inputs) -> Plan:
    chosen = inputs.whole_numbers() or inputs.changes.get("snapshots", ())
    moments = inputs.moments(chosen, (100, 200, 400))
    base = inputs.comparable(init="noise", iterations=max(moments)).replace(snapshots=moments)
    cell = _cell(inputs, base, "pastiche")
    return Plan(
        "snapshots",
        "How a run unfolds",
        f"The image after {', '.join(map(str, moments))} iterations of {base.optimizer}.",
        [
            Row("after", [Panel(cell, f"{n} iterations", n) for n in moments]),
        ],
        [
            Curves("Loss", {"total": cell}, "iterations"),
            Curves("Content loss", {"content": cell}, "iterations", "content"),
            Curves("Style loss", {"style": cell}, "iterations", "style"),
        ],
    )


@sweep("a run as a film: MP4, animated WebP and GIF")
def film(inputs: Inputs) -> Plan:
    if inputs.values:
        raise SettingsError(f"the values {','.join(inputs.values)}: a film varies nothing")
    base = inputs.comparable(init="noise")
    files = {"film.mp4": False, "film.webp": False, "film.gif": False, "film-curve.mp4": True}
    cell = Cell("pastiche", {}, base, inputs.content, inputs.styles, inputs.weights, files)
    return Plan(
        "film",
        "A run as a film",
        f"{base.optimizer}, {_end(base)}, from {base.init}.",
        [
            Row(
                "the film",
                [
                    Panel(cell, "animated WebP", film="film.webp"),
                    Panel(cell, "MP4 with the loss", film="film-curve.mp4"),
                    Panel(cell, "the result"),
                ],
            )
        ],
        _curves("Loss", {"total": cell}),
    )


@sweep("the published recipes side by side")
def weights_sheet(inputs: Inputs) -> Plan:
    names = inputs.words(*(name for name in presets.PRESETS if name != "ratio-sweep-base"))
    cells = {}
    for name in names:
        settings = presets.settings(name, **{"size": 256, **inputs.changes})
        cells[name] = _cell(inputs, settings, f"preset-{name}", preset=name)
    return Plan(
        "weights-sheet",
        "The published recipes",
        "Every preset with its own losses, weights, start, optimizer and end.",
        [Row("preset", [Panel(cell, name) for name, cell in cells.items()])],
    )


def _growing(names: list[str]) -> dict[str, dict[str, float]]:
    """One layer, two, three, ..., by caption, with w_l = 1 / n as in arXiv:1508.06576."""
    return {
        f"+ {name}" if count > 1 else name: dict.fromkeys(names[:count], 1 / count)
        for count, name in enumerate(names, start=1)
    }


def _end(settings: Settings) -> str:
    if settings.evaluations is not None:
        return f"{settings.evaluations} evaluations"
    return f"{settings.iterations} iterations"


#: Every experiment by the name that the command line knows it by.
SWEEPS: dict[str, Sweep] = {
    planned.name: planned
    for planned in (
        ratio,
        learning_rate,
        style_layers,
        content_layers,
        style_sizes,
        optimizers,
        init,
        reconstruct,
        network,
        styles,
        snapshots,
        film,
        weights_sheet,
    )
}
