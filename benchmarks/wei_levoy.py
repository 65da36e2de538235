"""Tree-structured vector quantization against exact search, as the paper's table of times has it.

    python benchmarks/wei_levoy.py --size=128 --rounds=5
    python benchmarks/wei_levoy.py TEXTURE --texture=64 --codewords=512

Wei and Levoy, "Fast Texture Synthesis using Tree-structured Vector Quantization", SIGGRAPH 2000:
one texture, and the same noise made into it with either search. Both take turns (A B A B ...);
medians are printed, training and synthesis apart, and how many times as long the exact search
takes. The texture is the middle of the given picture, else of the bundled painting.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags

from nst_tf import assets
from nst_tf.classical import wei_levoy
from nst_tf.pictures import images

_TEXTURE = flags.DEFINE_integer("texture", 64, "Height and width of the texture in pixels.")
_SIZE = flags.DEFINE_integer("size", 128, "Height and width of the result in pixels.")
_LEVELS = flags.DEFINE_integer("levels", 3, "Levels of the pyramids.")
_WINDOW = flags.DEFINE_integer("window", 9, "Side of a neighbourhood in pixels.")
_CODEWORDS = flags.DEFINE_integer("codewords", None, "The most leaves of the tree.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Times of each.", lower_bound=1)


def middle(path: str) -> np.ndarray:
    """A square of the texture's size from the middle of a picture."""
    picture, side = images.load(path), _TEXTURE.value
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    if min(top, left) < 0:
        raise app.UsageError(f"{path} is smaller than --texture={side}")
    return picture[top : top + side, left : left + side]


def main(argv: list[str]) -> None:
    if len(argv) > 2:
        raise app.UsageError(f"unexpected {argv[2]!r}")
    texture = middle(argv[1] if len(argv) == 2 else str(assets.PAINTING))
    draw = np.random.default_rng(0)
    start = draw.choice(texture.reshape(-1, 3), (_SIZE.value, _SIZE.value))
    training: dict[str, list[float]] = {search: [] for search in wei_levoy.SEARCHES}
    synthesis: dict[str, list[float]] = {search: [] for search in wei_levoy.SEARCHES}
    for _ in range(_ROUNDS.value):
        for search in wei_levoy.SEARCHES:
            began = time.perf_counter()
            learned = wei_levoy.learn(
                texture,
                levels=_LEVELS.value,
                window=_WINDOW.value,
                search=search,
                codewords=_CODEWORDS.value,
            )
            trained = time.perf_counter()
            wei_levoy.fill(start, learned, window=_WINDOW.value)
            training[search].append(trained - began)
            synthesis[search].append(time.perf_counter() - trained)
    for what, seconds in (("training", training), ("synthesis", synthesis)):
        medians = {search: statistics.median(times) for search, times in seconds.items()}
        for search, times in seconds.items():
            print(
                f"{what:10}{search:6}{medians[search]:9.3f} s "
                f"({min(times):.3f} to {max(times):.3f})  "
                f"{medians[search] / medians['tsvq']:6.2f} times tsvq's"
            )


if __name__ == "__main__":
    app.run(main)
