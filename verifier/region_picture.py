"""Pictures of regions and cells: two inputs of a network, the others held fixed or projected away."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from verifier.engines.propagate import Cell
from verifier.engines.region_walk import Domain, RegionWalk
from verifier.formats.domains import input_rows
from verifier.formats.errors import InputError
from verifier.formats.witness import counted
from verifier.geometry.ball import Ball
from verifier.geometry.chart import EmptyDomainError, chart_of
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.polytope import Polyhedron
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Layer, Network, compose
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, nearest_float
from verifier.plot import Marks, Tile, draw_partition

MOST_NAMED = 3  # fixed inputs that the caption names


def draw_regions(network: Network, domain: Domain, path: Path, axes: tuple[int, int], fixed: Mapping[int, Fraction],
                 colour: str) -> None:
    """Draw the regions over two inputs, one colour for each activation pattern, affine map or gradient.

    The other inputs have the values in ``fixed``, else those of the centre of the ball, or of the middle of the box.
    A Euclidean ball is drawn with the cells that meet it.  Raises InputError for values missing or superfluous.
    """
    plane, within = sliced(network, domain, axes, fixed)
    try:
        walk = RegionWalk(plane, within)
    except EmptyDomainError as error:
        raise InputError(f"the plane of the picture: {error}") from None
    tiles = []
    for cell in walk.cells():
        weight, _ = walk.maps.outputs(cell.signs)
        key: Hashable = {"pattern": cell.signs, "map": walk.maps.key(cell.signs), "gradient": weight}[colour]
        tiles.append(Tile(_shape(walk, cell), key))
    held = {i: value for i, value in enumerate(_values(network, domain, axes, fixed)) if i not in axes}
    marks = Marks(names={k: f"X_{axis}" for k, axis in enumerate(axes)}, title=caption(len(tiles), colour, held),
                  ball=within if isinstance(within, Ball) else None)
    draw_partition(tiles, path, (0, 1), marks=marks)


def _shape(walk: RegionWalk, cell: Cell) -> Polyhedron:
    if cell.has_vertices:
        return Polyhedron.from_points(cell.vertices)
    rows = [walk.chart.over_inputs(row) for row in cell.constraints]
    return Polyhedron.from_half_spaces(walk.network.inputs, [HalfSpace(tuple(-a for a in normal), constant)
                                                             for normal, constant in rows])


def sliced(network: Network, domain: Domain, axes: tuple[int, int], fixed: Mapping[int, Fraction]
           ) -> tuple[Network, Domain]:
    """The network and the domain over two inputs, the others held fixed.  Raises InputError, for a domain without
    bounds in the plane too."""
    values = _values(network, domain, axes, fixed)
    embedding = Layer.affine(Matrix.from_rationals([[int(i == axis) for axis in axes] for i in range(len(values))], 2),
                             Matrix.column(values))
    return compose(network, Network((embedding,))), _cut(domain, axes, values)


def _values(network: Network, domain: Domain, axes: tuple[int, int], fixed: Mapping[int, Fraction]) -> list[Fraction]:
    """Where the inputs are held, 0 for the two that are drawn."""
    n = network.inputs
    values: list[Fraction] = []
    for i in range(n):
        middle = _middle(domain, i)
        if i not in axes and i not in fixed and middle is None:
            raise InputError(f"a picture of a slice needs a value for input {i}, which has no middle")
        values.append(Fraction(0) if i in axes else fixed.get(i, middle if middle is not None else Fraction(0)))
    if any(domain.box.lower[i] is None or domain.box.upper[i] is None for i in axes):
        raise InputError("a picture of regions needs a bounded domain: give a --box or a ball")
    wrong = sorted(i for i in fixed if i in axes or not 0 <= i < n)
    if wrong:
        raise InputError(f"inputs {wrong} cannot be fixed in a picture of the inputs {list(axes)} of {n}")
    return values


def caption(count: int, colour: str, fixed: Mapping[int, Fraction], projected: int = 0) -> str:
    """The line over a picture: how many cells, what their colours mean, and where the other inputs are."""
    said = [f"{counted(count, 'cell')}, a color for each {'affine map' if colour == 'map' else colour}"]
    if 0 < len(fixed) <= MOST_NAMED:
        said.append(", ".join(f"X_{i} = {nearest_float(value):.6g}" for i, value in sorted(fixed.items())))
    elif fixed:
        said.append(f"{len(fixed)} inputs fixed")
    if projected:
        said.append(f"{counted(projected, 'input')} projected")
    return "; ".join(said)


def fixed_pieces(pieces: Sequence[Query], fixed: Mapping[int, Fraction], axes: tuple[int, int]) -> tuple[Query, ...]:
    """The pieces of a domain with some inputs fixed.  Raises InputError for inputs that cannot be."""
    n = pieces[0].network.inputs
    wrong = sorted(i for i in fixed if i in axes or not 0 <= i < n)
    if wrong:
        raise InputError(f"inputs {wrong} cannot be fixed in a picture of the inputs {list(axes)} of {n}")
    found = []
    for piece in pieces:
        box = piece.domain
        if all((lo is None or lo <= v) and (hi is None or v <= hi)
               for i, v in fixed.items() for lo, hi in [(box.lower[i], box.upper[i])]):
            ends = ([fixed.get(i, end) for i, end in enumerate(side)] for side in (box.lower, box.upper))
            lower, upper = map(tuple, ends)
            found.append(Query(piece.network, Box(lower, upper), piece.disjuncts))
    if not found:
        raise InputError("the inputs are fixed outside of the domain")
    return tuple(found)


def cell_key(pieces: Sequence[Query], layers: int | None, colour: str) -> Callable[[bytes], Hashable]:
    """What the cell with these signs is coloured by: ``pattern``, or ``map``, over the affine hull of the domain if
    that is one piece."""
    if colour == "pattern":
        return bytes
    first = pieces[0]
    chart = (chart_of(first.domain, input_rows(first)) if len(pieces) == 1 else
             chart_of(Box.whole_space(first.network.inputs)))
    return ExactMaps(first.network.layers[:layers], chart).key


def _middle(domain: Domain, i: int) -> Fraction | None:
    lo, hi = domain.box.lower[i], domain.box.upper[i]
    return None if lo is None or hi is None else (lo + hi) / 2


def _cut(domain: Domain, axes: tuple[int, int], values: list[Fraction]) -> Domain:
    rest = [i for i in range(len(values)) if i not in axes]
    if isinstance(domain, Ball):
        if any(values[i] != domain.centre[i] for i in rest):
            raise InputError("a picture of a slice of a ball goes through its centre: give the fixed inputs its values")
        return Ball(tuple(domain.centre[i] for i in axes), domain.radius, domain.norm)
    for i in rest:
        lo, hi = domain.box.lower[i], domain.box.upper[i]
        if (lo is not None and values[i] < lo) or (hi is not None and values[i] > hi):
            raise InputError(f"input {i} is fixed outside of the domain")
    box = Box(tuple(domain.box.lower[i] for i in axes), tuple(domain.box.upper[i] for i in axes))
    rows = [HalfSpace(tuple(row.normal[i] for i in axes),
                      row.offset - sum((row.normal[i] * values[i] for i in rest), Fraction(0))) for row in domain.rows]
    return Polytope(box, tuple(rows))
