"""The minimum error boundary cut between blocks that overlap.

Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH 2001, section 2.1.
"""

from __future__ import annotations

import itertools

import numpy as np


def cut(error: np.ndarray) -> np.ndarray:
    """The cheapest way from the first row to the last, one column a row, neighbours touching.

    Of several that cost the same, one of them, always the same one.

    Args:
      error: [rows, columns], at least one of each.

    Returns:
      int [rows], the path's column in every row; two in a row differ by at most 1.
    """
    costs = _costs(error)
    return _trace(costs, int(costs[-1].argmin()))


def block_mask(error: np.ndarray, top: int, left: int) -> np.ndarray:
    """Which pixels of a new block are to cover what is there.

    The block overlaps its surroundings in its upper `top` rows and its left `left` columns, and
    each overlap is cut. Where there are both, the two cuts meet in the corner, at the pixel where
    they cost the least together (the end of section 2.1).

    Args:
      error: [rows, columns], the squared difference of the block and what is there.
      top: how many rows overlap, 0 for none.
      left: how many columns overlap, 0 for none.

    Returns:
      bool [rows, columns]; the cuts themselves are the new block's.
    """
    rows, columns = np.ogrid[: error.shape[0], : error.shape[1]]
    if top and left:
        # From the far ends into the corner; the pixel where they meet is counted once.
        down = _costs(error[::-1, :left])[::-1]
        across = _costs(error[:top, ::-1].T)[::-1].T
        both = down[:top] + across[:, :left] - error[:top, :left]
        y, x = divmod(int(both.argmin()), left)
        # Beyond their meeting the cuts go straight on, where the other one decides alone.
        vertical = np.full(error.shape[0], x)
        vertical[y:] = _trace(down[y:][::-1], x)[::-1]
        horizontal = np.full(error.shape[1], y)
        horizontal[x:] = _trace(across[:, x:].T[::-1], y)[::-1]
        return (columns >= vertical[:, np.newaxis]) & (rows >= horizontal)
    if left:
        return columns >= cut(error[:, :left])[:, np.newaxis]
    if top:
        return rows >= cut(error[:top].T)
    return np.ones(error.shape, bool)


def _costs(error: np.ndarray) -> np.ndarray:
    """E_ij = e_ij + min(E_{i-1,j-1}, E_{i-1,j}, E_{i-1,j+1}), of error's shape."""
    costs = np.array(error, np.float64)
    for above, row in itertools.pairwise(costs):
        best = above.copy()
        np.minimum(best[1:], above[:-1], out=best[1:])
        np.minimum(best[:-1], above[1:], out=best[:-1])
        row += best
    return costs


def _trace(costs: np.ndarray, column: int) -> np.ndarray:
    """The path that ends at `column` of the last row, backwards through its cheapest ways."""
    path = np.empty(len(costs), int)
    path[-1] = column
    for row in range(len(costs) - 2, -1, -1):
        first = max(column - 1, 0)
        column = first + int(costs[row, first : column + 2].argmin())
        path[row] = column
    return path
