"""Tree-structured vector quantization: nearest vectors by a walk down a binary tree.

Gersho and Gray, "Vector Quantization and Signal Compression", 1992, chapter 12, as Wei and Levoy
use it in "Fast Texture Synthesis using Tree-structured Vector Quantization", SIGGRAPH 2000.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nst_tf.classical import checks

#: Vectors that are all this near to their mean are held for equal, and not split.
EQUAL = 1e-6

#: A vector this near to the plane between two centroids goes to the first, whichever way it was
#: rounded: a tie must be decided in a query as it was when the tree was built.
TIE = 1e-9

#: The most rounds of the generalized Lloyd algorithm; with two centroids it needs about 10.
ROUNDS = 50


class Plane(NamedTuple):
    """Between two centroids: who is beyond it is nearer to the second.

    Attributes:
      normal: unit vector, float64 [dimensions].
      offset: normal · vector of the vectors on the plane.
    """

    normal: np.ndarray
    offset: float

    def beyond(self, vectors: np.ndarray) -> np.ndarray:
        """Bool [count] of vectors [count, dimensions], or of one a single bool."""
        return vectors.dot(self.normal) > self.offset


@dataclass
class Node:
    """A cell of the partition.

    Attributes:
      members: which of the vectors are in it, int [count].
      centroid: their mean, float64 [dimensions].
      plane: between the children; None in a leaf.
      children: before and beyond the plane.
      representative: in a leaf, the member nearest to the centroid.
    """

    members: np.ndarray
    centroid: np.ndarray
    plane: Plane | None = None
    children: tuple[Node, ...] = ()
    representative: int = -1


class TSVQ:
    """A tree over vectors whose leaves are the codewords.

    The leaf with the largest distortion, Σ |vector − centroid|², is split until there are enough
    leaves, or each holds one vector (or equal ones). A leaf is split by the generalized Lloyd
    algorithm, which starts from its centroid and one moved slightly towards the vector farthest
    from it.

    Attributes:
      root: the tree.
    """

    def __init__(self, vectors: np.ndarray, codewords: int | None = None) -> None:
        """Builds the tree.

        Args:
          vectors: float [count, dimensions].
          codewords: the most leaves that there may be; by default as many as there are vectors.

        Raises:
          SettingsError: codewords below 1.
        """
        checks.at_least("codewords", 1 if codewords is None else codewords, 1)
        self._vectors = np.asarray(vectors, np.float64)
        self.root = self._node(np.arange(len(self._vectors)))
        # The number tells equal distortions apart: nodes have no order of their own.
        heap = [(-self._distortion(self.root), 0, self.root)]
        leaves = 1
        while heap and leaves < (len(self._vectors) if codewords is None else codewords):
            _, _, node = heapq.heappop(heap)
            if self._split(node):
                leaves += 1
                for child in node.children:
                    number = 2 * leaves + (child is node.children[1])
                    heapq.heappush(heap, (-self._distortion(child), number, child))
        for leaf in self.leaves():
            distances = np.square(self._vectors[leaf.members] - leaf.centroid).sum(1)
            leaf.representative = int(leaf.members[distances.argmin()])

    def leaves(self) -> list[Node]:
        """The leaves, from the one that every plane turns away from to the other end."""
        found, waiting = [], [self.root]
        while waiting:
            node = waiting.pop()
            if node.children:
                waiting += reversed(node.children)
            else:
                found.append(node)
        return found

    def descend(self, vector: np.ndarray) -> Node:
        """The leaf where a vector ends that always goes to the child with the nearer centroid.

        Greedy, without backtracking, as in the paper: about log₂ of the count of leaves steps.
        """
        node = self.root
        while node.plane is not None:
            node = node.children[bool(node.plane.beyond(vector))]
        return node

    def query(self, vector: np.ndarray) -> int:
        """Which of the vectors stands for one, float [dimensions]: its leaf's representative."""
        return self.descend(vector).representative

    def _node(self, members: np.ndarray) -> Node:
        return Node(members, self._vectors[members].mean(0))

    def _distortion(self, node: Node) -> float:
        return float(np.square(self._vectors[node.members] - node.centroid).sum())

    def _split(self, node: Node) -> bool:
        """Gives a leaf two children; False where its vectors are all equal."""
        vectors = self._vectors[node.members]
        farthest = vectors[np.square(vectors - node.centroid).sum(1).argmax()]
        if np.linalg.norm(farthest - node.centroid) < EQUAL:
            return False
        # Two centroids hardly apart have their plane through the old one, across the line between.
        plane = _between(node.centroid, node.centroid + 1e-3 * (farthest - node.centroid))
        side = plane.beyond(vectors)
        for _ in range(ROUNDS):
            plane = _between(vectors[~side].mean(0), vectors[side].mean(0))
            before, side = side, plane.beyond(vectors)
            if (before == side).all():
                break
        node.plane = plane
        node.children = (self._node(node.members[~side]), self._node(node.members[side]))
        return True


def _between(first: np.ndarray, second: np.ndarray) -> Plane:
    """Where both are equally far, or a trifle on, so that ties go to the first."""
    normal = (second - first) / np.linalg.norm(second - first)
    return Plane(normal, float(normal.dot(first + second)) / 2 + TIE)
