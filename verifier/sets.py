"""Questions about all outputs at once, in code: the reachable set, and the range of linear expressions.

Both are exact.  The range follows the one-way walk of :mod:`verifier.api`: a search proposes an optimum and a proof,
the kernel's checker makes theorems of them, and :mod:`verifier.properties.output_range` says what they mean.

Cells are imported where they are used: the compiled traversal is not for those who only ask for a range.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from verifier.engines import optimum
from verifier.engines.reach import BestVertices, image
from verifier.formats.domains import domain_of, input_rows, whole_box
from verifier.formats.errors import InputError
from verifier.formats.expression import LinearExpression, parse_expression
from verifier.formats.onnx import LoadedNetwork
from verifier.formats.vnnlib import Property
from verifier.geometry.chart import EmptyDomainError, integral
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.certificate import InvalidCertificate, unpack
from verifier.kernel.checker import NoPoint, PointIn, Theorem, check_no_point, check_point
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import Point, dot
from verifier.properties.output_range import (
    Extremum,
    Kind,
    Range,
    better_than,
    conclude_attained,
    conclude_empty,
    conclude_unbounded,
)

if TYPE_CHECKING:
    from verifier.engines.propagate import Cell, Region

__all__ = ["Domain", "Reach", "output_range", "reach"]

ENGINES = ("auto", "branch", "propagate", "milp")
OUT_OF_TIME = "the time limit was reached"
NOT_ACCEPTED = "the search's proof was not accepted by the check"
Domain = Box | Property | Sequence[Query]
"""A box, the input constraints of a property, or queries whose points are the domain: one disjunct of weak half-spaces
on the inputs each."""


@dataclass(frozen=True)
class Reach:
    """A reachable set.  ``cells`` is the number of cells that were mapped; when not ``finished``, time ran out, and
    ``union`` is only a part of the set."""

    union: UnionOfPolyhedra
    cells: int
    finished: bool


def reach(network: LoadedNetwork | Network, domain: Domain, *, layers: int | None = None, merge: bool = False,
          timeout: float | None = None, progress: Callable[[int], None] | None = None) -> Reach:
    """The set of outputs of the first ``layers`` layers (default: all), exactly, one part for each cell.

    ``merge`` removes parts that lie in others and unites parts whose union is convex.  ``timeout`` is wall time in
    seconds, for the cells.  ``progress`` is told the number of cells now and then.  Raises InputError when network,
    domain and ``layers`` do not fit.
    """
    from verifier.engines.propagate import Propagation, Region  # noqa: PLC0415

    deadline = None if timeout is None else time.time() + timeout
    plain = _plain(network)
    dimension = width(plain, layers)
    parts: list[Polyhedron] = []
    finished = True
    for piece in _pieces(plain, domain):
        before = len(parts)
        told = None if progress is None else _adding(progress, before)
        try:
            propagation = Propagation(Region(plain, piece.domain, input_rows(piece), layers))
        except EmptyDomainError:
            continue
        for cell in propagation.cells(told):
            if deadline is not None and time.time() >= deadline:
                finished = False
                break
            parts.append(image(cell))
    union = UnionOfPolyhedra(dimension, tuple(parts))
    return Reach(union.without_contained_parts().merged() if merge and finished else union, len(parts), finished)


def width(network: LoadedNetwork | Network, layers: int | None = None) -> int:
    """The number of values after that many layers (default: all).  Raises InputError when there are not as many."""
    plain = _plain(network)
    if layers is not None and not 0 <= layers <= len(plain.layers):
        raise InputError(f"a layer from 0 to {len(plain.layers)} was required, received {layers}")
    return plain.inputs if layers == 0 else plain.layers[-1 if layers is None else layers - 1].units


def output_range(network: LoadedNetwork | Network, domain: Domain,
                 objectives: Sequence[LinearExpression | str] | None = None, *, engine: str = "auto",
                 solver: str = "highs", timeout: float | None = None, seed: int = 0, exact: bool = False,
                 compiled: bool = False, progress: Callable[[float, str], None] | None = None) -> tuple[Range, ...]:
    """The exact minimum and maximum of each objective (default: each output) over the domain, proved.

    An objective is an expression or its text, such as ``2*Y_0 - Y_1``.  ``engine`` says how optima are found:
    *propagate* walks all cells of a bounded domain first, *milp* asks a mixed-integer ``solver`` (see
    :func:`verifier.api.verify`), *branch* (and *auto*) does neither; the proofs are the same.
    ``timeout`` is wall time in seconds; ends that are not decided in it are of kind *unknown*.  ``exact`` lets the
    check run on integers.  ``progress(fraction, text)`` is told how far the work is.

    Raises InputError when network, domain and objectives do not fit, for an unknown engine, and for *propagate* on an
    unbounded domain.
    """
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r} is not available for this question: choose from {', '.join(ENGINES)}")
    deadline = None if timeout is None else time.time() + timeout
    plain = _plain(network)
    domains = _pieces(plain, domain)
    expressions = [_expression(objective, plain) for objective in objectives] if objectives is not None else [
        LinearExpression.of_output(j, plain.inputs, plain.outputs) for j in range(plain.outputs)]
    ends = [(expression, sign) for expression in expressions for sign in (-1, 1)]
    directions = [tuple(sign * c for c in expression.coefficients) for expression, sign in ends]
    starts: dict[int, dict[int, Point]] = {}
    if engine == "propagate":
        starts = _starts(domains, directions, deadline, progress)
    elif engine == "milp":
        starts = _proposed_starts(domains, directions, solver, deadline, progress)
    found: list[Extremum] = []
    for number, (expression, sign) in enumerate(ends):
        if progress is not None:
            progress(number / len(ends), f"{'maximum' if sign > 0 else 'minimum'} of {expression.text}")
        task = _Task(domains, directions[number], sign * expression.constant, starts.get(number, {}), seed, deadline,
                     exact, compiled)
        end = task.solve()
        found.append(end if sign > 0 else end.negated())
    return tuple(Range(expression.text, found[2 * i], found[2 * i + 1]) for i, expression in enumerate(expressions))


@dataclass(frozen=True)
class _Task:
    """One maximum over one domain."""

    domains: tuple[Query, ...]
    objective: Point
    constant: Fraction
    starts: dict[int, Point]
    seed: int
    deadline: float | None
    exact: bool
    compiled: bool

    def solve(self) -> Extremum:
        bounds: list[tuple[Fraction | None, Theorem]] = []
        best: tuple[Fraction, Query, Point] | None = None
        reason = ""
        for number, domain in enumerate(self.domains):
            answer = self._propose(number)
            if isinstance(answer, optimum.NoMaximum):
                ray = tuple(map(Fraction, integral(answer.ray)))
                return conclude_unbounded(domain, self.objective, answer.x, ray)
            if isinstance(answer, optimum.EmptyDomain):
                theorem = self._proved(domain, answer.blocks)
                bounds += [] if theorem is None else [(None, theorem)]
                reason = reason if theorem is not None else NOT_ACCEPTED
                continue
            if answer.x is not None:
                value = dot(self.objective, answer.x + domain.network.evaluate(answer.x))
                if best is None or value > best[0]:
                    best = value, domain, answer.x
            if isinstance(answer, optimum.Maximum):
                theorem = self._proved(better_than(domain, self.objective, answer.value), answer.blocks)
                bounds += [] if theorem is None else [(answer.value, theorem)]
                reason = reason if theorem is not None else NOT_ACCEPTED
            else:
                reason = OUT_OF_TIME
        if reason:
            return self._unknown(best, reason)
        if best is None:
            return conclude_empty(self.domains, [theorem for _, theorem in bounds])
        point = check_point(PointIn(best[1], best[2]))
        return conclude_attained(self.domains, self.objective, self.constant, point, bounds)

    def _propose(self, number: int) -> optimum.Maximum | optimum.NoMaximum | optimum.EmptyDomain | optimum.OutOfTime:
        domain = self.domains[number]
        return optimum.maximise(domain.network, domain.domain, domain.disjuncts[0], self.objective,
                                start=self.starts.get(number), seed=self.seed, deadline=self.deadline,
                                compiled=self.compiled)

    def _proved(self, query: Query, blocks: Sequence[bytes]) -> Theorem | None:
        """What the checker makes of a proof: a theorem, or nothing."""
        try:
            return check_no_point(NoPoint(query), map(unpack, blocks), self.exact)
        except InvalidCertificate:
            return None

    def _unknown(self, best: tuple[Fraction, Query, Point] | None, reason: str) -> Extremum:
        if best is None:
            return Extremum(Kind.UNKNOWN, reason=reason)
        value, domain, x = best
        return Extremum(Kind.UNKNOWN, value + self.constant, x, domain.network.evaluate(x), reason=reason)


def _starts(domains: Sequence[Query], directions: Sequence[Point], deadline: float | None,
            progress: Callable[[float, str], None] | None) -> dict[int, dict[int, Point]]:
    """For each direction and domain the best vertex of all cells."""
    from verifier.engines.propagate import Region  # noqa: PLC0415

    starts: dict[int, dict[int, Point]] = {number: {} for number in range(len(directions))}
    for place, domain in enumerate(domains):
        best = BestVertices(directions)
        try:
            region = Region(domain.network, domain.domain, input_rows(domain))
            for cell in _vertex_cells(region, progress):
                if deadline is not None and time.time() >= deadline:
                    break
                best.look_at(cell)
        except EmptyDomainError:
            continue
        for number, point in enumerate(best.points()):
            if point is not None:
                starts[number][place] = point
    return starts


def _proposed_starts(domains: Sequence[Query], directions: Sequence[Point], solver: str, deadline: float | None,
                     progress: Callable[[float, str], None] | None) -> dict[int, dict[int, Point]]:
    """For each direction and domain the best point that a mixed-integer solver finds, in half of the time."""
    from verifier.engines.milp import Milp, MilpSolver  # noqa: PLC0415

    half = None if deadline is None else (time.time() + deadline) / 2
    starts: dict[int, dict[int, Point]] = {number: {} for number in range(len(directions))}
    try:
        chosen = MilpSolver(solver)
    except ValueError as error:
        raise InputError(str(error)) from None
    with chosen as solve:
        for place, domain in enumerate(domains):
            model = Milp(domain.network, domain.domain, solve)
            for number, direction in enumerate(directions):
                if half is not None and time.time() >= half:
                    return starts
                if progress is not None:
                    progress(number / len(directions) / 2, f"{solver}: optimum {number + 1} of {len(directions)}")
                point = model.best(domain.disjuncts[0], direction, half)
                if point is not None:
                    starts[number][place] = point
    return starts


def _vertex_cells(region: Region, progress: Callable[[float, str], None] | None) -> Iterator[Cell]:
    from verifier.engines.propagate import Propagation  # noqa: PLC0415

    told = None if progress is None else lambda count: progress(0.0, f"{count:,} cells")
    try:
        propagation = Propagation(region, "vertices")
    except EmptyDomainError:
        raise
    except ValueError as error:
        raise InputError(f"engine propagate: {error}") from None
    return propagation.cells(told)


def _plain(network: LoadedNetwork | Network) -> Network:
    return network if isinstance(network, Network) else network.network


def _pieces(network: Network, domain: Domain) -> tuple[Query, ...]:
    """The domain as queries, checked."""
    if isinstance(domain, Box):
        return (whole_box(network, domain),)
    pieces = domain_of(domain, network) if isinstance(domain, Property) else tuple(domain)
    if not pieces:
        raise InputError("a domain of at least one piece was required, received none")
    for piece in pieces:
        if piece.network.digest != network.digest:
            raise InputError("the domain speaks of another network than the one given")
        if len(piece.disjuncts) != 1 or any(row.strict for row in piece.disjuncts[0]):
            raise InputError("a piece of a domain has one disjunct of half-spaces that are not strict")
        input_rows(piece)
    return pieces


def _expression(objective: LinearExpression | str, network: Network) -> LinearExpression:
    if isinstance(objective, str):
        return parse_expression(objective, network.inputs, network.outputs)
    if len(objective.coefficients) != network.inputs + network.outputs:
        raise InputError(f"an objective needs {network.inputs + network.outputs} coefficients, "
                         f"received {len(objective.coefficients)}")
    return objective


def _adding(progress: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda count: progress(before + count)
