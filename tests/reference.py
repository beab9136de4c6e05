"""Brute force over activation patterns in exact arithmetic: the oracle that every engine is compared with.

Theory.  Let K be the box, read in the coordinates of its affine hull (the inputs that are not fixed).  Unit by unit,
layer by layer, every full-dimensional part of K is cut by the unit's pre-activation, an affine function there.  A
function that is identically zero on a part cuts nothing and counts as inactive.  The parts that remain when all
units are through are the *cells*.  They are closed, full-dimensional and cover K: what they leave out would be a
relatively open set inside finitely many hyperplanes.  So a query has a point exactly when one cell has one, and
there it is a linear program.

A part keeps an interior point w.  If max f > 0 over the part, at v say, then {f > 0} meets its interior, and points of
the open segment from w to v near enough to v are interior to the new part: one linear program a side, and none for
the side where w or another known point lies already.

Why this way.  Independence is the point: nothing here is shared with the engines or the checker, only the data
types are.  Numbers are Python integers (affine functions are scaled, points are homogeneous) and the linear programs
are cddlib's, on rationals.  Before it pivots exactly cddlib tries floats: rows of size about 1 keep that trial from
cycling, the criss-cross method from writing beyond an array (see ``verifier.solvers.cdd``).  Every program below is
feasible and bounded, and every optimum is checked against its dual: feasibility is two programs, least violation first,
then most slack on the strict rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cdd
import cdd.gmp

from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Point

Row = tuple[int, ...]
"""``(a_1, ..., a_k, t)``: the affine function ``a . u + t`` up to a positive factor, or as a constraint ``>= 0``."""

Homogeneous = tuple[int, ...]
"""``(p_1, ..., p_k, q)`` with ``q > 0``: the point ``p / q``."""

Pattern = tuple[tuple[bool, ...], ...]
"""For every layer and unit: active?  Units without a phase say True, identically zero ones False."""


@dataclass(frozen=True)
class Cell:
    """A full-dimensional cell in the coordinates ``u``, the inputs of the box that are not fixed.

    ``constraints`` are strictly positive at the interior point.  On the cell the network is
    ``u -> weight u + constant``; equal maps have equal fields.
    """

    pattern: Pattern
    interior: Point
    """An interior point, in all input coordinates."""
    constraints: tuple[Row, ...]
    weight: tuple[Point, ...]
    constant: Point


def evaluate(network: Network, x: Sequence[Fraction]) -> Point:
    """The network's output by the definition, in Fractions."""
    y = tuple(x)
    for layer in network.layers:
        z = [sum((w * v for w, v in zip(row, y, strict=True)), bias)
             for row, (bias,) in zip(layer.weight.rows(), layer.bias.rows(), strict=True)]
        y = tuple(v if v >= 0 else s * v for v, (s,) in zip(z, layer.slope.rows(), strict=True))
    return y


def satisfies(query: Query, x: Sequence[Fraction]) -> bool:
    """Whether ``x`` is in the domain and makes a disjunct true, by the definition."""
    vector = (*x, *evaluate(query.network, x))
    inside = all((lo is None or lo <= v) and (hi is None or v <= hi)
                 for v, lo, hi in zip(x, query.domain.lower, query.domain.upper, strict=True))
    return inside and any(all(_holds(h, vector) for h in disjunct) for disjunct in query.disjuncts)


def decide(query: Query) -> Point | None:
    """A point of the query, or None when there is none."""
    domain = _Domain(query.domain)
    for leaf in _leaves(query.network, domain):
        # the leaf's denominator has been reduced, and fixed inputs need their own
        denominator = math.lcm(leaf.denominator, domain.denominator)
        function = [tuple(v * (denominator // leaf.denominator) for v in f) for f in leaf.function]
        vector = [*domain.embedding(denominator), *function]
        for disjunct in query.disjuncts:
            rows = [_satisfaction(h, vector, denominator) for h in disjunct]
            found = _find(leaf.part, rows, [h.strict for h in disjunct])
            if found is not None:
                x = domain.point(found)
                assert satisfies(query, x)
                return x
    return None


def cells(network: Network, box: Box) -> list[Cell]:
    """All cells of the network in the box."""
    domain = _Domain(box)
    return [Cell(leaf.pattern, domain.point(leaf.part.interior), leaf.part.rows,
                 tuple(tuple(Fraction(v, leaf.denominator) for v in f[:-1]) for f in leaf.function),
                 tuple(Fraction(f[-1], leaf.denominator) for f in leaf.function))
            for leaf in _leaves(network, domain)]


def affine_pieces(found: Sequence[Cell]) -> int:
    """The number of distinct affine maps among the cells."""
    return len({(cell.weight, cell.constant) for cell in found})


def linear_regions(found: Sequence[Cell]) -> int:
    """The number of linear regions: classes of cells with one affine map, joined through common facets.

    A common facet has a cell on either side of it, so its relative interior is relatively interior to the box.
    """
    leader = list(range(len(found)))

    def root(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    for i, j in itertools.combinations(range(len(found)), 2):
        same = (found[i].weight, found[i].constant) == (found[j].weight, found[j].constant)
        if same and root(i) != root(j) and _share_facet(found[i], found[j]):
            leader[root(i)] = root(j)
    return len({root(i) for i in range(len(found))})


def output_range(network: Network, box: Box, row: Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    """The exact minimum and maximum of ``row . network(x)`` over a bounded box."""
    if not box.is_bounded:
        raise ValueError("the range is attained on bounded boxes only, received an unbounded one")
    domain = _Domain(box)
    values: list[Fraction] = []
    for leaf in _leaves(network, domain):
        function, scale = _combination(row, leaf.function)
        for objective in (function, tuple(-v for v in function)):
            best = _maximiser(leaf.part.rows, objective) if any(function[:-1]) else leaf.part.interior
            values.append(Fraction(_value(function, best), scale * leaf.denominator * best[-1]))
    return min(values), max(values)


# --- the domain in the coordinates of its affine hull ----------------------------------------------------------------


class _Domain:
    """The box in the coordinates of its free inputs, with a first part to cut."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.free = [i for i, (lo, hi) in enumerate(zip(box.lower, box.upper, strict=True)) if lo is None or lo != hi]
        self.fixed = {i: lo for i, lo in enumerate(box.lower) if i not in self.free and lo is not None}
        self.denominator = math.lcm(*(v.denominator for v in self.fixed.values()))

    def embedding(self, denominator: int) -> list[Row]:
        """All inputs as integer affine functions of the free ones, over ``denominator``."""
        zero = [0] * len(self.free)
        rows = []
        for i in range(self.box.dimension):
            row = [*zero, 0]
            if i in self.fixed:
                value = self.fixed[i] * denominator
                assert value.denominator == 1
                row[-1] = int(value)
            else:
                row[self.free.index(i)] = denominator
            rows.append(tuple(row))
        return rows

    def part(self) -> _Part:
        rows, middle, ends = [], [], []
        for k, i in enumerate(self.free):
            lo, hi = self.box.lower[i], self.box.upper[i]
            for bound, sign in ((lo, 1), (hi, -1)):
                if bound is not None:
                    row = [0] * (len(self.free) + 1)
                    row[k], row[-1] = sign * bound.denominator, -sign * bound.numerator
                    rows.append(tuple(row))
            if lo is not None and hi is not None:
                middle.append((lo + hi) / 2)
                ends.append((lo, hi))
            else:
                middle.append(lo + 1 if lo is not None else hi - 1 if hi is not None else Fraction(0))
        few = len(ends) == len(self.free) <= 4
        corners = tuple(_homogeneous(c) for c in itertools.product(*ends)) if few else ()
        return _Part(tuple(rows), _homogeneous(middle), corners, len(ends) == len(self.free))

    def point(self, u: Homogeneous) -> Point:
        x = [self.fixed.get(i, Fraction(0)) for i in range(self.box.dimension)]
        for i, v in zip(self.free, u, strict=False):
            x[i] = Fraction(v, u[-1])
        return tuple(x)


# --- cutting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A full-dimensional polyhedron ``rows >= 0``, a point of its interior, and known points of it."""

    rows: tuple[Row, ...]
    interior: Homogeneous
    known: tuple[Homogeneous, ...]
    bounded: bool

    def side(self, function: Row) -> _Part | None:
        """The part where the nonconstant ``function`` is ``>= 0``, or None when that is not full-dimensional."""
        function = _primitive(function)
        if tuple(-v for v in function) in self.rows:
            return None
        at_interior = _value(function, self.interior)
        interior, known = self.interior, self.known
        if at_interior <= 0:
            best = next((p for p in known if _value(function, p) > 0), None)
            if best is None:
                # In an unbounded part the function is kept below 1; only the sign of its maximum matters.
                cap = () if self.bounded else ((*(-v for v in function[:-1]), 1 - function[-1]),)
                best = _maximiser((*self.rows, *cap), function)
                known = (*known, best)
            top = _value(function, best)
            if top <= 0:
                return None
            near, far = (top, -2 * at_interior) if at_interior else (1, 1)
            interior = _primitive(tuple(near * p + far * q for p, q in zip(interior, best, strict=True)))
        kept = tuple(p for p in known if _value(function, p) >= 0)
        return _Part((*self.rows, function), interior, kept, self.bounded)


@dataclass(frozen=True)
class _Leaf:
    """A cell with its pattern and the network on it: the affine functions ``function / denominator``."""

    part: _Part
    pattern: Pattern
    function: tuple[Row, ...]
    denominator: int


def _leaves(network: Network, domain: _Domain) -> Iterator[_Leaf]:
    layers = []
    for layer in network.layers:
        slopes = [s for (s,) in layer.slope.rows()]
        affine = [(*row, bias) for row, (bias,) in zip(layer.weight.rows(), layer.bias.rows(), strict=True)]
        scale = math.lcm(*(v.denominator for row in affine for v in row))
        common = math.lcm(*(s.denominator for s in slopes))
        weights = [[int(v * scale) for v in row] for row in affine]
        layers.append((weights, scale, [int(s * common) for s in slopes], common))

    def descend(leaf: _Leaf) -> Iterator[_Leaf]:
        if len(leaf.pattern) == len(layers):
            yield leaf
            return
        affine, scale, slopes, common = layers[len(leaf.pattern)]
        width = len(leaf.part.interior)
        one = (*(0,) * (width - 1), leaf.denominator)
        z = [tuple(sum(w * f[j] for w, f in zip(row, (*leaf.function, one), strict=True)) for j in range(width))
             for row in affine]
        for signs, part in _cut(leaf.part, z, [s != common for s in slopes]):
            y = [tuple(v * (common if active else slope) for v in f)
                 for f, active, slope in zip(z, signs, slopes, strict=True)]
            denominator = leaf.denominator * scale * common
            shared = math.gcd(denominator, *(v for f in y for v in f))
            yield from descend(_Leaf(part, (*leaf.pattern, signs), tuple(tuple(v // shared for v in f) for f in y),
                                     denominator // shared))

    return descend(_Leaf(domain.part(), (), tuple(domain.embedding(domain.denominator)), domain.denominator))


def _cut(part: _Part, functions: Sequence[Row], has_phase: Sequence[bool]) -> Iterator[tuple[tuple[bool, ...], _Part]]:
    """The full-dimensional parts on which every function has one sign, with these signs."""
    if not functions:
        yield (), part
        return
    function = functions[0]
    if not has_phase[0]:
        sides: list[tuple[bool, _Part | None]] = [(True, part)]
    elif not any(function[:-1]):
        sides = [(function[-1] > 0, part)]
    else:
        sides = [(True, part.side(function)), (False, part.side(tuple(-v for v in function)))]
    for sign, side in sides:
        if side is not None:
            for rest, smaller in _cut(side, functions[1:], has_phase[1:]):
                yield (sign, *rest), smaller


# --- linear programs -------------------------------------------------------------------------------------------------


def _maximiser(rows: Sequence[Row], function: Row) -> Homogeneous:
    """A point of ``rows >= 0`` where the function is greatest; the rows are consistent and the function bounded."""
    scales = [1 << max(map(abs, row)).bit_length() for row in (*rows, function)]
    array = [[Fraction(v, scale) for v in (row[-1], *row[:-1])]
             for row, scale in zip((*rows, function), scales, strict=True)]
    program = cdd.gmp.linprog_from_array(array, cdd.LPObjType.MAX)
    cdd.gmp.linprog_solve(program, cdd.LPSolverType.CRISS_CROSS)
    assert program.status == cdd.LPStatusType.OPTIMAL, program.status
    best = _homogeneous(program.primal_solution)
    # function + sum(y row) is constant for multipliers y >= 0, so it bounds the function, and at `best` it is attained.
    dual = dict(program.dual_solution)
    *y, scale = _homogeneous([Fraction(dual.get(i, 0)) * scales[-1] / scales[i] for i in range(len(rows))])
    total, _ = _combination([Fraction(v) for v in (*y, scale)], [*rows, function])
    assert all(_value(row, best) >= 0 for row in rows)
    assert min(y, default=0) >= 0
    assert not any(total[:-1])
    assert scale * _value(function, best) == total[-1] * best[-1]
    return best


def _find(part: _Part, rows: Sequence[Row], strict: Sequence[bool]) -> Homogeneous | None:
    """A point of the part at which all rows are >= 0, the strict ones > 0."""

    def satisfied(p: Homogeneous) -> bool:
        return all(_value(f, p) > 0 if s else _value(f, p) >= 0 for f, s in zip(rows, strict, strict=True))

    for p in (part.interior, *part.known):
        if satisfied(p):
            return p
    if any(not any(f[:-1]) and not (f[-1] > 0 if s else f[-1] >= 0) for f, s in zip(rows, strict, strict=True)):
        return None
    varying = [(f, s) for f, s in zip(rows, strict, strict=True) if any(f[:-1])]
    own = [(f, False) for f in part.rows]
    found, violation = _most_slack(_with_slack([*own, *((f, True) for f, _ in varying)], 0))
    if violation < 0:
        return None
    if satisfied(found):
        return found
    found, slack = _most_slack(_with_slack([*own, *varying], 1))
    return found if slack > 0 else None


def _with_slack(rows: Sequence[tuple[Row, bool]], most: int) -> list[Row]:
    """With one more variable ``t <= most``: ``row >= t`` for the marked rows and ``row >= 0`` for the others."""
    width = len(rows[0][0]) - 1
    return [(*f[:-1], -int(marked), f[-1]) for f, marked in rows] + [(*(0,) * width, -1, most)]


def _most_slack(rows: Sequence[Row]) -> tuple[Homogeneous, int]:
    """A point with greatest ``t`` and a positive multiple of that ``t``."""
    *u, t, scale = _maximiser(rows, (*(0,) * (len(rows[0]) - 2), 1, 0))
    return (*u, scale), t


def _share_facet(first: Cell, second: Cell) -> bool:
    """Whether the cells have a facet in common: on some hyperplane of both, all other rows can be positive at once."""
    rows = [r for r in {*first.constraints, *second.constraints} if any(r[:-1])]
    for row in first.constraints:
        opposite = tuple(-v for v in row)
        if opposite not in second.constraints:
            continue
        marked = [(r, r not in (row, opposite)) for r in rows]
        # Cells need not meet at all, so first see whether every row can be nonnegative.
        _, violation = _most_slack(_with_slack([(r, True) for r in rows], 0))
        if violation == 0 and _most_slack(_with_slack(marked, 1))[1] > 0:
            return True
    return False


# --- integers --------------------------------------------------------------------------------------------------------


def _value(function: Row, point: Homogeneous) -> int:
    """The function at the point, times the point's positive denominator."""
    return sum(a * p for a, p in zip(function, point, strict=True))


def _primitive(values: tuple[int, ...]) -> tuple[int, ...]:
    shared = math.gcd(*values) or 1
    return tuple(v // shared for v in values)


def _homogeneous(point: Sequence[Fraction]) -> Homogeneous:
    denominator = math.lcm(*(v.denominator for v in point))
    return (*(v.numerator * (denominator // v.denominator) for v in point), denominator)


def _combination(coefficients: Sequence[Fraction], functions: Sequence[Row]) -> tuple[Row, int]:
    """``scale * sum(c f)`` and the scale that makes it integral."""
    scale = math.lcm(*(c.denominator for c in coefficients))
    integers = [int(c * scale) for c in coefficients]
    return tuple(sum(c * v for c, v in zip(integers, column, strict=True))
                 for column in zip(*functions, strict=True)), scale


def _satisfaction(h: HalfSpace, vector: Sequence[Row], denominator: int) -> Row:
    """A positive multiple of ``offset - normal . vector / denominator``: >= 0 where ``h`` is true (> 0 if strict)."""
    row, scale = _combination(h.normal, vector)
    d = h.offset.denominator
    return _primitive((*(-v * d for v in row[:-1]), h.offset.numerator * scale * denominator - row[-1] * d))


def _holds(h: HalfSpace, vector: Sequence[Fraction]) -> bool:
    value = sum((a * v for a, v in zip(h.normal, vector, strict=True)), Fraction(0))
    return value < h.offset if h.strict else value <= h.offset
