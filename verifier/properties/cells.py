"""Cells: how many regions, of which kind, a network has over a domain; and what its reachable set is.

The domain is the union of pieces.  Each has a theorem about its :class:`~verifier.kernel.partition.Cells`, or one that
it has no point.

Theorem (counts).  Over one piece, the number of *activation regions* is the number of its cells; *affine pieces* are
their distinct maps; *linear regions* are bounded as the claim says.  If the cells are not all, they bound all three
from below (a further cell may join two linear regions, but never two maps).

Theorem (reachable set).  If all cells of every piece that has a point are known, the set of the outputs of the first
layers is the union of the images of these cells under their affine maps.  Pieces may overlap; then cells of different
pieces do, and their number is the number of parts, not of regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from verifier.kernel.checker import NoPoint, Theorem
from verifier.kernel.domain import Domain, Polytope
from verifier.kernel.network import Network
from verifier.kernel.partition import Cells
from verifier.kernel.polyhedron import HalfSpace
from verifier.kernel.query import Query


class Counted(Enum):
    """What is counted."""

    REACH = "reach"
    ACTIVATION = "activation"
    LINEAR = "linear"
    AFFINE = "affine"


@dataclass(frozen=True)
class ProvedCells:
    """The number is from ``lower`` to ``upper`` (None: no upper bound is proved); ``claims`` say which cells they are,
    one claim for each piece that is not empty.  ``pieces`` are all of the domain, and the cells are those of the first
    ``layers`` layers."""

    counted: Counted
    lower: int
    upper: int | None
    claims: tuple[Cells, ...]
    arithmetic: str
    layers: int
    pieces: tuple[Domain, ...]

    @property
    def is_exact(self) -> bool:
        """Whether both bounds are one number."""
        return self.lower == self.upper


def query_of(network: Network, piece: Polytope) -> Query:
    """The query whose points are those of the polytope."""
    outputs = (Fraction(0),) * network.outputs
    return Query(network, piece.box, (tuple(HalfSpace(row.normal + outputs, row.offset) for row in piece.rows),))


def conclude_cells(counted: Counted, layers: int, pieces: Sequence[Domain], theorems: Sequence[Theorem]) -> ProvedCells:
    """What the theorems, one for each piece, say of the number.  Raises ValueError when they say nothing."""
    claims = tuple(theorem.claim for theorem in theorems if isinstance(theorem.claim, Cells))
    if len(claims) + sum(isinstance(theorem.claim, NoPoint) for theorem in theorems) != len(theorems) or not theorems:
        raise ValueError("a number of cells needs a theorem about cells, or about an empty piece, for each piece")
    if counted is not Counted.REACH and len(theorems) != 1:
        raise ValueError("regions are counted over one piece")
    for piece, theorem in zip(pieces, theorems, strict=True):
        claim = theorem.claim
        if isinstance(claim, Cells):
            fits = claim.layers == layers and claim.domain == piece
        else:
            fits = (isinstance(claim, NoPoint) and isinstance(piece, Polytope)
                    and claim.query.digest == query_of(claim.query.network, piece).digest)
        if not fits:
            raise ValueError("the theorems speak of other layers or of another domain")
    lower, upper = 0, 0
    unbounded = False
    for claim in claims:
        cells, maps = len(claim.patterns), claim.maps
        low, high = {Counted.REACH: (cells, cells), Counted.ACTIVATION: (cells, cells), Counted.AFFINE: (maps, maps),
                     Counted.LINEAR: claim.linear}[counted]
        unbounded |= high is None or not claim.complete
        lower, upper = lower + low, upper + (high or 0)
    return ProvedCells(counted, lower, None if unbounded else upper, claims,
                       " and ".join(sorted({theorem.arithmetic for theorem in theorems})), layers, tuple(pieces))
