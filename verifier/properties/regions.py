r"""How many regions a network has, and what a count says.

Let N be a network on a convex domain K, and let interior, facet and dimension be meant in the affine hull of K.

* A *cell* or **activation region** is a closed set of inputs of K with one activation pattern that has interior points.
  A unit whose pre-activation is 0 on the whole cell counts as inactive; nonzero ones are strict in the interior.
* A **linear region** is a union of cells with the same affine map, connected through facets that two cells share and
  that meet the relative interior of K.
* An **affine piece** is a set of cells with the same affine map: their number is that of the different maps.

Hence affine pieces <= linear regions <= activation regions.  Counts of cells refer to the layers of the network as they
were lowered; the other two do not depend on it.  A ball may be open or closed: a closed cell that only touches the open
ball from outside has no interior points in it and does not count.

*Theorem (lower bounds).* Different patterns, each with a point strict in all units that are not constantly 0 near it,
are that many activation regions.  Different maps of such cells are that many affine pieces, and so at least that many
linear regions.  Classes of found cells that are not joined are *no* lower bound: a cell not yet seen may join them.

*Theorem (upper bounds).* Let the cells found be c, joined to r classes with m different maps, and let at most u cells
be missing.  Then there are at most ``c + u`` activation regions, ``r + u`` linear regions and ``m + u`` affine pieces:
a missing cell adds at most one of each, and may only join more.

With ``u = 0`` the bounds for activation regions and affine pieces meet, and r is the number of linear regions if the
facets of all cells were compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class RegionKind(Enum):
    """Which regions are counted."""

    ACTIVATION = "activation"
    LINEAR = "linear"
    AFFINE = "affine"


@dataclass(frozen=True)
class RegionCount:
    """``lower <= number of regions <= upper``.  Raises ValueError when that is impossible."""

    kind: RegionKind
    lower: int
    upper: int

    def __post_init__(self) -> None:
        if not 0 <= self.lower <= self.upper:
            raise ValueError(f"a count needs 0 <= lower <= upper, received {self.lower} and {self.upper}")

    @property
    def is_exact(self) -> bool:
        """Whether the bounds meet."""
        return self.lower == self.upper

    @property
    def text(self) -> str:
        """The number, or ``LOWER..UPPER``."""
        return str(self.lower) if self.is_exact else f"{self.lower}..{self.upper}"


@dataclass(frozen=True)
class RegionCounts:
    """What one walk over the cells says of all three kinds; None where it was not asked to look."""

    activation: RegionCount
    linear: RegionCount | None = None
    affine: RegionCount | None = None

    def of(self, kind: RegionKind) -> RegionCount | None:
        """The count of one kind."""
        return {RegionKind.ACTIVATION: self.activation, RegionKind.LINEAR: self.linear,
                RegionKind.AFFINE: self.affine}[kind]


def conclude(cells: int, missing: int, classes: int | None = None, maps: int | None = None) -> RegionCounts:
    """The theorems above: ``cells`` found and at most ``missing`` others; ``classes`` and ``maps`` of the cells found,
    if they are known."""
    activation = RegionCount(RegionKind.ACTIVATION, cells, cells + missing)
    if classes is None or maps is None:
        return RegionCounts(activation)
    return RegionCounts(activation,
                        RegionCount(RegionKind.LINEAR, maps if missing else classes, classes + missing),
                        RegionCount(RegionKind.AFFINE, maps, maps + missing))
