r"""Linear regions and affine pieces: cells with the same affine map, joined through common facets.

Requirement
    The cells of one :class:`~verifier.engines.region_walk.RegionWalk`, as they are found.
Return
    The number of different affine maps among them, and the classes of cells with one map that are connected through
    common facets in the relative interior of the domain.
Method
    Cells are sorted by their maps: floats with errors (:mod:`verifier.geometry.float_maps`) tell most maps apart, and
    where they do not, the exact maps are compared.  Only within a set of cells with one map are facets compared, by
    :mod:`verifier.engines.adjacency`; in a Euclidean ball a facet counts when its squared distance from the centre is
    less than the squared radius.
Property
    Exact for the cells that are there.  An unseen cell may join two classes, so *of a part of the cells* the maps are a
    lower bound for both kinds of count, the classes plus a bound of the unseen cells an upper one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from verifier.engines.adjacency import FacetPair, facet_pairs
from verifier.engines.propagate import Cell
from verifier.engines.region_walk import Found, RegionWalk
from verifier.geometry.float_maps import FloatNetwork
from verifier.kernel.rational import FloatArray

AT_ONCE = 4096  # maps in floats


@dataclass
class AffineMaps:
    """Cells sorted by their affine maps, as soon as somebody asks."""

    walk: RegionWalk
    cells: list[Found] = field(default_factory=list)

    def add_all(self, cells: Iterable[Found]) -> None:
        """Take more cells, before the first question."""
        self.cells.extend(cells)

    @cached_property
    def classes(self) -> list[list[int]]:
        """The numbers of the cells with one map."""
        return same_maps(self.walk, [found.signs for found in self.cells])

    @property
    def count(self) -> int:
        """The number of different maps."""
        return len(self.classes)

    def linear_regions(self) -> int:
        """The number of classes joined through the facets of the cells that are there."""
        return sum(1 if len(numbers) == 1 else
                   len(set(joined(self.walk, [self.cells[number].make() for number in numbers])))
                   for numbers in self.classes)


def same_maps(walk: RegionWalk, patterns: Sequence[bytes]) -> list[list[int]]:
    """The numbers of the cells with one affine map, for every map, in the order of first cells."""
    network = FloatNetwork(walk.network.layers, walk.chart, walk.maps)
    low, high = np.zeros(len(patterns)), np.zeros(len(patterns))
    for begin in range(0, len(patterns), AT_ONCE):
        some = patterns[begin:begin + AT_ONCE]
        signs = np.frombuffer(b"".join(some), dtype=np.uint8).reshape(len(some), -1)
        low[begin:begin + AT_ONCE], high[begin:begin + AT_ONCE] = network.maps(signs).marks()
    classes: list[list[int]] = []
    for numbers in _overlapping(low, high):
        by_map: dict[tuple[int, ...], list[int]] = {}
        for number in numbers:
            key = walk.maps.key(patterns[number]) if len(numbers) > 1 else ()
            by_map.setdefault(key, []).append(number)
        classes += by_map.values()
    return sorted(classes)


def _overlapping(low: FloatArray, high: FloatArray) -> Iterator[list[int]]:
    """The numbers of intervals in classes: intervals of different classes have no common point."""
    order = np.argsort(low, kind="stable")
    reach = np.maximum.accumulate(high[order])
    apart = np.flatnonzero(low[order][1:] > reach[:-1]) + 1
    for numbers in np.split(order, apart):
        yield sorted(numbers.tolist())


class Joining:
    """Classes of numbers that are joined one pair after another; the smallest number leads its class."""

    def __init__(self, count: int) -> None:
        self._leader = list(range(count))

    def root(self, i: int) -> int:
        """The leader of the class of ``i``."""
        leader = self._leader
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    def join(self, i: int, j: int) -> bool:
        """Make the two classes one; False when they are already."""
        low, high = sorted((self.root(i), self.root(j)))
        self._leader[high] = low
        return low != high


def joined(walk: RegionWalk, cells: list[Cell]) -> list[int]:
    """For each of several cells with one affine map the number of the first cell of its linear region."""
    joining = Joining(len(cells))
    for pair in inner_pairs(walk, cells, lambda first, second: joining.root(first) != joining.root(second)):
        joining.join(pair.first, pair.second)
    return [joining.root(i) for i in range(len(cells))]


def inner_pairs(walk: RegionWalk, cells: list[Cell], wanted: Callable[[int, int], bool] | None = None
                ) -> Iterator[FacetPair]:
    """The pairs of cells with a common facet that meets the relative interior of the domain; ``wanted`` may leave out
    pairs before the distance of their facet is computed."""
    for pair in facet_pairs(cells):
        if wanted is not None and not wanted(pair.first, pair.second):
            continue
        rows = (*cells[pair.first].constraints, tuple(-v for v in pair.row))
        if walk.meets(rows, pair.point):
            yield pair
