"""Texture from patches of any shape, joined along minimum cuts.

Kwatra, Schödl, Essa, Turk and Bobick, "Graphcut Textures: Image and Video Synthesis Using Graph
Cuts", SIGGRAPH 2003.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal, sparse
from scipy.sparse import csgraph

from nst_tf.classical import checks
from nst_tf.errors import SettingsError

#: How patches find their place, section 4 of the paper.
PLACEMENTS = ("random", "entire", "subpatch")

#: What share of a patch must lie on what is there, for the cut to have room.
OVERLAP = 0.25

#: Of the patches that may come next, those that cover less than this share of what the best one
#: covers anew are left out: they would be many.
GROWTH = 0.5

_Window = tuple[slice, slice]

#: The first and the second of all pairs of neighbours along each axis.
_PAIRS = (
    (np.s_[:-1, :], np.s_[1:, :]),
    (np.s_[:, :-1], np.s_[:, 1:]),
)


def synthesize(
    texture: np.ndarray,
    height: int,
    width: int,
    *,
    placement: str = "subpatch",
    refinements: int = 16,
    block: int | None = None,
    k: float = 0.01,
    seed: int = 0,
    report: checks.Report | None = None,
) -> np.ndarray:
    """A picture of any size that looks like the texture.

    The whole texture is laid over the canvas again and again; which of its pixels stay is the
    minimum cut of `Canvas.paste`. When the canvas is full, more patches are laid over the places
    where the seams are worst, which can only make the seams' cost less (section 3.1).

    Args:
      texture: [height, width, 3], RGB in [0, 1].
      height: of the result, in pixels.
      width: likewise.
      placement: `random` offsets; `entire`, those at which the whole overlap matches; `subpatch`,
        those at which a block around the place that is to be filled or mended does. The last is the
        best for textures that are no regular pattern.
      refinements: how many patches are laid once the canvas is full.
      block: side of that block in pixels; by default half of the texture's smaller side.
      k: how readily a worse match is taken: an offset t has probability ∝ exp(−C(t) / (k σ²)), C
        being the mean squared difference and σ² the texture's variance (equation 3). The paper's
        range is 0.001 to 1.
      seed: of the offsets.
      report: told the share that is done.

    Returns:
      float32 [height, width, 3]; every pixel is one of the texture's.

    Raises:
      SettingsError: the texture is no picture, or a parameter out of its range.
    """
    picture = checks.picture(texture, "texture")
    smaller = min(picture.shape[:2])
    block = max(smaller // 2, 1) if block is None else block
    for name, value, minimum in (
        ("height", height, 1),
        ("width", width, 1),
        ("refinements", refinements, 0),
        ("block", block, 1),
        ("k", k, 1e-6),
    ):
        checks.at_least(name, value, minimum)
    if block > smaller:
        raise SettingsError(f"block is {block}: use at most the texture's smaller side, {smaller}")
    if placement not in PLACEMENTS:
        raise SettingsError(f"no placement {placement!r}: use one of {', '.join(PLACEMENTS)}")
    report = checks.silent if report is None else report
    random = np.random.default_rng(seed)
    canvas = Canvas(height, width)
    offsets = _Offsets(picture, placement, block, k, random)
    # Half of the first patch at least, so that it says something about the texture.
    canvas.paste(picture, *(-int(random.integers(side // 2 + 1)) for side in picture.shape[:2]))
    while not canvas.filled.all():
        report(0.5 * float(canvas.filled.mean()))
        y, x = np.unravel_index(canvas.filled.argmin(), canvas.filled.shape)
        canvas.paste(picture, *offsets.choose(canvas, int(y), int(x)))
    patience = np.ones((height, width))
    for done in range(refinements):
        report(0.5 + 0.5 * done / refinements)
        worst = ndimage.uniform_filter(canvas.costs(), block, mode="constant") * patience
        y, x = np.unravel_index(worst.argmax(), worst.shape)
        # What this patch does not mend must not keep others from their turn.
        patience[_around(int(y), block, height), _around(int(x), block, width)] *= 0.5
        canvas.paste(picture, *offsets.choose(canvas, int(y), int(x)))
    report(1.0)
    return canvas.pixels.astype(np.float32)


class Canvas:
    """The picture so far, and what every patch in it would have shown beyond its seams.

    Where two neighbouring pixels s and t (t below or right of s) come from patches A1 and A2, the
    seam between them costs M(s, t, A1, A2) = |A1(s) − A2(s)| + |A1(t) − A2(t)| (equation 1).

    Attributes:
      pixels: float64 [height, width, 3].
      filled: bool [height, width].
      ahead: A1(t) for all s, of axis 0, [height − 1, width, 3], and of axis 1.
      behind: A2(s), likewise.
    """

    def __init__(self, height: int, width: int) -> None:
        self.pixels = np.zeros((height, width, 3))
        self.filled = np.zeros((height, width), bool)
        self.ahead = [np.zeros((height - 1, width, 3)), np.zeros((height, width - 1, 3))]
        self.behind = [np.zeros_like(colours) for colours in self.ahead]

    def costs(self) -> np.ndarray:
        """What the seams cost, [height, width]: of a pixel, those to its right and lower one."""
        costs = np.zeros(self.filled.shape)
        for axis, (s, _) in enumerate(_PAIRS):
            costs[s] += self._seams(axis)
        return costs

    def paste(self, patch: np.ndarray, top: int, left: int) -> None:
        """Lays a patch over the canvas, and keeps of both what the minimum cut between them says.

        Pixels that were empty are the patch's, and so are their neighbours; pixels next to others
        that the patch does not reach stay, where there are any. Seams that are there already take
        part as section 3.1 has it: the cut may leave them, move them, or cover them.

        Args:
          patch: [rows, columns, 3]; what lies beyond the canvas is left out.
          top: the patch's first row on the canvas, which may be negative.
          left: its first column, likewise.
        """
        (y, rows), (x, columns) = (
            (slice(max(at, 0), min(at + side, end)), slice(max(-at, 0), min(end - at, side)))
            for at, side, end in zip((top, left), patch.shape[:2], self.filled.shape, strict=True)
        )
        patch = patch[rows, columns]
        taken = np.zeros(self.filled.shape, bool)
        if patch.size:
            taken[y, x] = self._cut(patch, (y, x))
            self._take(patch, (y, x), taken)

    def _cut(self, patch: np.ndarray, window: _Window) -> np.ndarray:
        """Which of the window's pixels the patch takes, bool [rows, columns]."""
        there = self.filled[window]
        elsewhere = self.filled.copy()
        elsewhere[window] = False
        stays = there & ndimage.binary_dilation(elsewhere)[window]
        goes = there & ndimage.binary_dilation(~there) & ~stays
        number = np.cumsum(there).reshape(there.shape) - 1
        nodes = int(there.sum())
        differs = np.linalg.norm(self.pixels[window] - patch, axis=-1)
        # Arcs (from, to, cost); those to the patch itself have yet to learn its number.
        arcs, patch_arcs = [], []
        for axis, edges in enumerate(_edges(window)):
            s, t = _PAIRS[axis]
            both = there[s] & there[t]
            ends = number[s][both], number[t][both]
            ahead = differs[s] + np.linalg.norm(self.ahead[axis][edges] - patch[t], axis=-1)
            behind = np.linalg.norm(self.behind[axis][edges] - patch[s], axis=-1) + differs[t]
            ahead, behind, seam = ahead[both], behind[both], self._seams(axis)[edges][both]
            old = seam > 0
            arcs.append((ends[0][~old], ends[1][~old], ahead[~old]))
            # The seam node of section 3.1: cutting it from s, from t or from the patch is to have
            # the seam between A1 and the patch, the patch and A2, or the one that is there.
            node = nodes + np.arange(old.sum())
            nodes += len(node)
            arcs += [(ends[0][old], node, ahead[old]), (ends[1][old], node, behind[old])]
            patch_arcs.append((node, seam[old]))
        arcs += [(node, np.full_like(node, nodes), seam) for node, seam in patch_arcs]
        source, sink = np.zeros((2, nodes + 1), bool)
        source[number[stays]] = True
        sink[number[goes]] = sink[nodes] = True
        tails, heads, costs = (np.concatenate(part) for part in zip(*arcs, strict=True))
        taken = ~there
        taken[there] = min_cut(tails, heads, costs, source, sink)[: there.sum()]
        return taken

    def _take(self, patch: np.ndarray, window: _Window, taken: np.ndarray) -> None:
        before, self.filled = self.filled, self.filled.copy()
        self.filled[window] = True
        shown, covered = np.zeros_like(self.pixels), np.zeros_like(self.filled)
        shown[window], covered[window] = patch, True
        self.pixels[taken] = shown[taken]
        for axis, (s, t) in enumerate(_PAIRS):
            # Where a patch says nothing about a neighbour, it would have gone on as it was.
            new = ~(before[s] & before[t])
            ahead, behind = self.ahead[axis], self.behind[axis]
            ahead[new], behind[new] = self.pixels[s][new], self.pixels[t][new]
            mine = taken[s] & covered[t]
            ahead[mine] = shown[t][mine]
            mine = taken[t] & covered[s]
            behind[mine] = shown[s][mine]

    def _seams(self, axis: int) -> np.ndarray:
        """The costs of the seams that are there, 0 within a patch."""
        s, t = _PAIRS[axis]
        costs = np.linalg.norm(self.pixels[s] - self.behind[axis], axis=-1)
        costs += np.linalg.norm(self.ahead[axis] - self.pixels[t], axis=-1)
        return costs * (self.filled[s] & self.filled[t])


def min_cut(
    tails: np.ndarray, heads: np.ndarray, costs: np.ndarray, source: np.ndarray, sink: np.ndarray
) -> np.ndarray:
    """The cheapest set of arcs that parts the nodes of the source from those of the sink.

    By the maximum flow (SciPy's), in integers: a cut may cost more than the cheapest one by half a
    billionth of the sum of all costs for every arc.

    Args:
      tails: int [arcs], the nodes at which arcs begin, 0 to nodes − 1. Arcs count in both
        directions.
      heads: int [arcs], where they end.
      costs: float [arcs], not negative.
      source: bool [nodes], those that are on the one side.
      sink: bool [nodes], those that are on the other, none of them the source's.

    Returns:
      bool [nodes], which are on the sink's side. Of cuts that cost the same, the one with the
      fewest nodes on the source's side.
    """
    # All nodes of a terminal are one: then none needs an arc that must not be cut.
    number = np.cumsum(~(source | sink)) + 1
    number[source], number[sink] = 0, 1
    ends = np.stack([number[tails], number[heads]])
    arcs = ends[0] != ends[1]
    ends, costs = ends[:, arcs], costs[arcs]
    # Both directions of parallel arcs are summed, and must not leave the range of 32 bits.
    scale = (2**31 - 1) / max(costs.sum(), np.finfo(np.float64).tiny * 2**32)
    capacities = np.tile(np.floor(costs * scale).astype(np.int32), 2)
    nodes = max(int(number.max(initial=1)) + 1, 2)
    graph = sparse.csr_array((capacities, np.hstack([ends, ends[::-1]])), shape=(nodes, nodes))
    left = graph - csgraph.maximum_flow(graph, 0, 1).flow
    left.eliminate_zeros()
    reached = np.zeros(nodes, bool)
    reached[csgraph.breadth_first_order(left, 0, return_predecessors=False)] = True
    return ~reached[number]


class _Offsets:
    """Where the next patch goes."""

    def __init__(
        self,
        texture: np.ndarray,
        placement: str,
        block: int,
        k: float,
        random: np.random.Generator,
    ) -> None:
        self._texture = texture
        self._placement = placement
        self._block = block
        self._temperature = k * float(texture.var((0, 1)).sum())
        self._random = random

    def choose(self, canvas: Canvas, y: int, x: int) -> tuple[int, int]:
        """The top and left of a patch that covers the pixel, and the block around it if need be."""
        sides, size = self._texture.shape[:2], canvas.filled.shape
        window = _around(y, self._block, size[0]), _around(x, self._block, size[1])
        # Offsets of all patches that reach the canvas: 1 − side to size − 1.
        tops, lefts = (np.arange(1 - side, end) for side, end in zip(sides, size, strict=True))
        full = bool(canvas.filled.all())
        must = (
            window if full or self._placement == "subpatch" else (slice(y, y + 1), slice(x, x + 1))
        )
        allowed = _covers(tops, sides[0], must[0])[:, None] & _covers(lefts, sides[1], must[1])
        filled = canvas.filled.astype(np.float64)
        if not full:
            inside = _inside(tops, sides[0], size[0])[:, None] * _inside(lefts, sides[1], size[1])
            overlap = np.rint(_correlate(filled, np.ones(sides)))
            fresh = inside - overlap
            room = allowed & (overlap >= OVERLAP * inside)
            allowed = room if room.any() else allowed
            allowed = allowed & (fresh >= GROWTH * fresh[allowed].max())
        at = np.argwhere(allowed)
        if self._placement == "random":
            row, column = at[self._random.integers(len(at))]
        else:
            mask = filled
            if self._placement == "subpatch":
                mask = np.zeros_like(filled)
                mask[window] = filled[window]
            costs = self._costs(canvas.pixels, mask)[allowed]
            chances = np.exp((costs.min() - costs) / max(self._temperature, 1e-12))
            row, column = at[self._random.choice(len(at), p=chances / chances.sum())]
        return int(tops[row]), int(lefts[column])

    def _costs(self, pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """C(t), the mean squared difference where the mask is 1, for every offset; section 4."""
        squares = (self._texture**2).sum(-1)
        total = _correlate(mask, squares)
        for channel in range(3):
            shown = mask * pixels[..., channel]
            total -= 2 * _correlate(shown, self._texture[..., channel])
        ones = np.ones_like(squares)
        total += _correlate(mask * (pixels**2).sum(-1), ones)
        return np.maximum(total, 0) / np.maximum(np.rint(_correlate(mask, ones)), 1)


def _correlate(canvas: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Σ_p canvas(p) texture(p − t) for every offset t, from 1 − side to size − 1."""
    return signal.fftconvolve(canvas, texture[::-1, ::-1])


def _covers(offsets: np.ndarray, side: int, place: slice) -> np.ndarray:
    """Which offsets lay the patch over all of the place."""
    return (offsets <= place.start) & (offsets + side >= place.stop)


def _inside(offsets: np.ndarray, side: int, end: int) -> np.ndarray:
    """How many rows or columns of the patch are on the canvas."""
    return np.minimum(offsets + side, end) - np.maximum(offsets, 0)


def _around(at: int, block: int, end: int) -> slice:
    """The block with `at` in its middle, or as near to it as the canvas has room."""
    first = max(min(at - block // 2, end - block), 0)
    return slice(first, min(first + block, end))


def _edges(window: _Window) -> tuple[_Window, _Window]:
    """The window's pairs of neighbours, below each other and beside each other."""
    y, x = window
    return (slice(y.start, y.stop - 1), x), (y, slice(x.start, x.stop - 1))
