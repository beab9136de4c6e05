"""Questions about all outputs at once, in code: the reachable set, and the range of linear expressions.

Both are exact.  The range follows the one-way walk of :mod:`verifier.api`: a search proposes an optimum and a proof,
the kernel's checker makes theorems of them, and :mod:`verifier.properties.output_range` says what they mean.

Cells are imported where they are used: the compiled traversal is not for those who only ask for a range.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, cast

from verifier.certificates import EndProof, cells_proof, write_cells, write_ranges
from verifier.engines import optimum
from verifier.engines.executor import MapExecutor
from verifier.formats.domains import domain_of, input_rows, whole_box
from verifier.formats.errors import InputError
from verifier.formats.expression import LinearExpression, parse_expression
from verifier.formats.onnx import LoadedNetwork, plain_network
from verifier.formats.vnnlib import Property
from verifier.geometry.chart import EmptyDomainError, integral
from verifier.geometry.homogeneous import Vector, to_point
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.certificate import InvalidCertificate, unpack
from verifier.kernel.checker import NoPoint, PointIn, Theorem, check_no_point, check_point
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import Point
from verifier.properties.cells import Counted
from verifier.properties.output_range import (
    Extremum,
    Kind,
    Range,
    better_than,
    conclude_attained,
    conclude_empty,
    conclude_unbounded,
)
from verifier.solvers.child import time_limit
from verifier.time_limits import Interrupted, Late, until

if TYPE_CHECKING:
    from verifier.engines.images import Images, Mapped
    from verifier.engines.propagate import Region

__all__ = ["Domain", "Reach", "output_range", "reach"]

ENGINES = ("auto", "branch", "propagate", "milp")
OUT_OF_TIME = "the time limit was reached"
INTERRUPTED = "the work was interrupted"
NOT_ACCEPTED = "the search's proof was not accepted by the check"
Domain = Box | Property | Sequence[Query]
"""A box, the input constraints of a property, or queries whose points are the domain: one disjunct of weak half-spaces
on the inputs each."""


@dataclass(frozen=True)
class Reach:
    """A reachable set.  ``sources`` are the cells that were mapped, one after another: without merging, part i of
    ``union`` is the image of cell i.  When not ``finished``, time ran out, and ``union`` is only a part of the set;
    when not ``merged``, parts could still be united (time ran out, or nobody asked for it).  ``certified`` says that
    the certificate that was asked for is there."""

    sources: Images
    finished: bool
    united: UnionOfPolyhedra | None = None
    merged: bool = False
    certified: bool = False

    @cached_property
    def union(self) -> UnionOfPolyhedra:
        """The set, exactly; without merging each part is computed when something is asked of it."""
        return self.sources.union() if self.united is None else self.united

    @property
    def cells(self) -> int:
        """The number of cells that were mapped."""
        return len(self.sources)

    @property
    def ambient_dimension(self) -> int:
        """The number of outputs."""
        return self.sources.dimension

    @cached_property
    def dimensions(self) -> Counter[int]:
        """How many parts of ``union`` have which dimension; quick before the union is known, too."""
        return self.sources.dimensions() if self.united is None else self.united.dimensions

    @cached_property
    def bounding_box(self) -> Box | None:
        """The smallest box that contains the set, None for the empty set; as quick."""
        return self.sources.bounding_box()

    def inputs(self, part: int) -> tuple[Point, ...]:
        """For each vertex of that part of the union, in order, an input that attains it."""
        return tuple(map(to_point, self.attaining(part, self.union.parts[part].generators.vertices)))

    def attaining(self, part: int, outputs: Iterable[Vector]) -> tuple[Vector, ...]:
        """For each of these outputs, vectors ``(t, y)`` of that part of the union, an input ``(t, x)`` that attains
        it."""
        if self.united is None:
            cell = self.sources[part]
            return tuple(_attained([cell], output) for output in outputs)
        known = self._cell_of
        return tuple(_attained([known[output]] if output in known else self.sources, output) for output in outputs)

    @cached_property
    def _cell_of(self) -> dict[Vector, Mapped]:
        return {v.output: cell for cell in reversed(self.sources) for v in cell.vertices}


def _attained(cells: Iterable[Mapped], output: Vector) -> Vector:
    """The input of the first cell that has one with this output; raises ValueError when none has."""
    for cell in cells:
        found = cell.attaining(output)
        if found is not None:
            return found
    raise ValueError("an output of the set was required")


def reach(network: LoadedNetwork | Network, domain: Domain, *, layers: int | None = None, merge: bool = False,
          timeout: float | None = None, executor: MapExecutor | None = None,
          progress: Callable[[int], None] | None = None, certificate: BinaryIO | None = None) -> Reach:
    """The set of outputs of the first ``layers`` layers (default: all), exactly, one part for each cell.

    ``merge`` removes parts that lie in others and unites parts whose union is convex.  ``timeout`` is wall time in
    seconds.  ``executor`` may run parts of the work elsewhere; the result does not depend on it.  ``progress`` is told
    the number of cells now and then.  ``certificate`` receives the proof that the cells are all cells, if they are and
    there is time for it; it takes memory for all of them.  Raises InputError when network, domain and ``layers`` do
    not fit; an interrupt raises :class:`~verifier.time_limits.Interrupted` with the part of the set that was found.
    """
    from verifier.engines.cell_units import Harvest  # noqa: PLC0415
    from verifier.engines.images import Images  # noqa: PLC0415
    from verifier.engines.propagate import Region  # noqa: PLC0415
    from verifier.engines.reach import map_cells  # noqa: PLC0415

    deadline = None if timeout is None else time.time() + timeout
    plain = plain_network(network)
    found = Images(width(plain, layers))
    regions: list[tuple[Query, Region | None]] = []
    finished = True
    for piece in pieces_of(plain, domain):
        told = None if progress is None else _adding(progress, len(found))
        region = Region(plain, piece.domain, input_rows(piece), layers)
        harvest = Harvest(region, map_cells, "auto", deadline, executor, told)
        try:
            for one in harvest:
                found.add(region, one)
        except EmptyDomainError:
            regions.append((piece, None))
            continue
        except KeyboardInterrupt:
            raise Interrupted(Reach(found, False)) from None
        regions.append((piece, region))
        finished = finished and harvest.finished
    certified = False
    if certificate is not None and finished:
        with contextlib.suppress(Late):
            proofs = [cells_proof(piece, region, deadline) for piece, region in regions]
            kept_layers = len(plain.layers) if layers is None else layers
            write_cells(certificate, network, domain, Counted.REACH, kept_layers, proofs, {})
            certified = True
    if not (merge and finished):
        return Reach(found, finished, certified=certified)
    late = [False]

    def stop() -> bool:
        late[0] = late[0] or (deadline is not None and time.time() >= deadline)
        return late[0]

    with time_limit(deadline):
        united = found.union().merged(stop)
    return Reach(found, True, united, not late[0], certified)


def width(network: LoadedNetwork | Network, layers: int | None = None) -> int:
    """The number of values after that many layers (default: all).  Raises InputError when there are not as many."""
    plain = plain_network(network)
    if layers is not None and not 0 <= layers <= len(plain.layers):
        raise InputError(f"a layer from 0 to {len(plain.layers)} was required, received {layers}")
    return plain.inputs if layers == 0 else plain.layers[-1 if layers is None else layers - 1].units


def output_range(network: LoadedNetwork | Network, domain: Domain,
                 objectives: Sequence[LinearExpression | str] | None = None, *, engine: str = "auto",
                 solver: str = "highs", timeout: float | None = None, seed: int = 0, exact: bool = False,
                 compiled: bool = False, executor: MapExecutor | None = None,
                 progress: Callable[[float, str], None] | None = None, certificate: BinaryIO | None = None
                 ) -> tuple[Range, ...]:
    """The exact minimum and maximum of each objective (default: each output) over the domain, proved.

    An objective is an expression or its text, such as ``2*Y_0 - Y_1``.  ``engine`` says how optima are found:
    *propagate* walks all cells of a bounded domain first, *milp* asks a mixed-integer ``solver`` (see
    :func:`verifier.api.verify`), *branch* (and *auto*) does neither; the proofs are the same.
    ``timeout`` is wall time in seconds; ends that are not decided in it are of kind *unknown*.  ``exact`` lets the
    check run on integers.  ``executor`` may run parts of the work elsewhere; the answer does not depend on it.
    ``progress(fraction, text)`` is told how far the work is.  ``certificate`` receives the proof, if all ends are
    decided.

    Raises InputError when network, domain and objectives do not fit, for an unknown engine, and for *propagate* on an
    unbounded domain.  An interrupt raises :class:`~verifier.time_limits.Interrupted` with the ends that are decided.
    """
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r} is not available for this question: choose from {', '.join(ENGINES)}")
    deadline = None if timeout is None else time.time() + timeout
    plain = plain_network(network)
    domains = pieces_of(plain, domain)
    expressions = [_expression(objective, plain) for objective in objectives] if objectives is not None else [
        LinearExpression.of_output(j, plain.inputs, plain.outputs) for j in range(plain.outputs)]
    ends = [(expression, sign) for expression in expressions for sign in (-1, 1)]
    directions = [tuple(sign * c for c in expression.coefficients) for expression, sign in ends]
    starts: dict[int, dict[int, Point]] = {}
    if engine == "propagate":
        starts = _starts(domains, directions, deadline, executor, progress)
    elif engine == "milp":
        starts = _proposed_starts(domains, directions, solver, deadline, progress)
    found: list[EndProof] = []
    try:
        for number, (expression, sign) in enumerate(ends):
            if progress is not None:
                progress(number / len(ends), f"{'maximum' if sign > 0 else 'minimum'} of {expression.text}")
            task = _Task(domains, directions[number], sign * expression.constant, starts.get(number, {}), seed,
                         deadline, exact, compiled, executor)
            found.append(task.solve())
    except KeyboardInterrupt as stop:
        if isinstance(stop, Interrupted):
            found.append(cast(EndProof, stop.result))
        unknown = [EndProof(Extremum(Kind.UNKNOWN, reason=INTERRUPTED))] * (len(ends) - len(found))
        raise Interrupted(_ranges(expressions, [*found, *unknown])) from None
    ranges = _ranges(expressions, found)
    if certificate is not None and all(r.is_decided for r in ranges):
        write_ranges(certificate, network, domain, domains, expressions, found, {"engine": engine, "seed": seed})
    return ranges


def _ranges(expressions: Sequence[LinearExpression], found: Sequence[EndProof]) -> tuple[Range, ...]:
    """``found`` are the minimum (as the maximum of the negated expression) and the maximum of each."""
    return tuple(Range(expression.text, found[2 * i].end.negated(), found[2 * i + 1].end)
                 for i, expression in enumerate(expressions))


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
    executor: MapExecutor | None

    def solve(self) -> EndProof:
        bounds: list[tuple[Fraction | None, Theorem]] = []
        proofs: list[tuple[Fraction | None, tuple[bytes, ...]]] = []
        seen: list[tuple[Fraction, int, Point]] = []
        reason = ""
        for number, domain in enumerate(self.domains):
            try:
                answer = self._propose(number, seen)
            except KeyboardInterrupt:
                raise Interrupted(EndProof(self._unknown(seen, INTERRUPTED))) from None
            if isinstance(answer, optimum.NoMaximum):
                ray = tuple(map(Fraction, integral(answer.ray)))
                return EndProof(conclude_unbounded(domain, self.objective, answer.x, ray), number)
            if isinstance(answer, optimum.OutOfTime):
                reason = OUT_OF_TIME
                continue
            bound = answer.value if isinstance(answer, optimum.Maximum) else None
            query = domain if bound is None else better_than(domain, self.objective, bound)
            try:
                theorem = self._proved(query, answer.blocks)
            except Late:
                reason = OUT_OF_TIME
                continue
            if theorem is None:
                reason = NOT_ACCEPTED
                continue
            bounds.append((bound, theorem))
            proofs.append((bound, answer.blocks))
        if reason:
            return EndProof(self._unknown(seen, reason))
        if not seen:
            return EndProof(conclude_empty(self.domains, [theorem for _, theorem in bounds]), 0, tuple(proofs))
        _, number, x = max(seen, key=itemgetter(0))
        point = check_point(PointIn(self.domains[number], x))
        end = conclude_attained(self.domains, self.objective, self.constant, point, bounds)
        return EndProof(end, number, tuple(proofs))

    def _propose(self, number: int, seen: list[tuple[Fraction, int, Point]]
                 ) -> optimum.Maximum | optimum.NoMaximum | optimum.EmptyDomain | optimum.OutOfTime:
        domain = self.domains[number]
        return optimum.maximise(domain.network, domain.domain, domain.disjuncts[0], self.objective,
                                start=self.starts.get(number), seed=self.seed, deadline=self.deadline,
                                compiled=self.compiled, executor=self.executor, better=lambda value, x:
                                seen.append((value, number, x)))

    def _proved(self, query: Query, blocks: Sequence[bytes]) -> Theorem | None:
        """What the checker makes of a proof: a theorem, or nothing.  Raises Late."""
        try:
            return check_no_point(NoPoint(query), until(self.deadline, map(unpack, blocks)), self.exact)
        except InvalidCertificate:
            return None

    def _unknown(self, seen: Sequence[tuple[Fraction, int, Point]], reason: str) -> Extremum:
        if not seen:
            return Extremum(Kind.UNKNOWN, reason=reason)
        value, number, x = max(seen, key=itemgetter(0))
        return Extremum(Kind.UNKNOWN, value + self.constant, x, self.domains[number].network.evaluate(x), reason=reason)


def _starts(domains: Sequence[Query], directions: Sequence[Point], deadline: float | None,
            executor: MapExecutor | None, progress: Callable[[float, str], None] | None) -> dict[int, dict[int, Point]]:
    """For each direction and domain the best vertex of all cells."""
    from verifier.engines.cell_units import Harvest  # noqa: PLC0415
    from verifier.engines.glance import Glance, best_points  # noqa: PLC0415
    from verifier.engines.propagate import Region  # noqa: PLC0415

    told = None if progress is None else lambda count: progress(0.0, f"{count:,} cells")
    starts: dict[int, dict[int, Point]] = {number: {} for number in range(len(directions))}
    for place, domain in enumerate(domains):
        region = Region(domain.network, domain.domain, input_rows(domain))
        try:
            found = best_points(Harvest(region, Glance(tuple(directions)), "vertices", deadline, executor, told))
        except EmptyDomainError:
            continue
        except ValueError as error:
            raise InputError(f"engine propagate: {error}") from None
        for number, point in enumerate(found):
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
            with suppress(OverflowError):  # the model is one of floats; proofs need no start
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


def pieces_of(network: Network, domain: Domain) -> tuple[Query, ...]:
    """The domain as queries, checked.  Raises InputError when it does not fit the network."""
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
