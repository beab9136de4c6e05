"""Points proposed by a mixed-integer solver, made exact.

Requirement
    A network, a box (unbounded ones are homogenised), a solver that may be wrong in every respect.
Return
    An exact point of a query, or a good point for an objective; or nothing, with what the solver claims.
Method
    The model of :mod:`verifier.engines.milp_model`, once for each network and domain.  A solution's binaries are an
    activation pattern; on the pattern the network is affine, so an exact linear program decides whether the piece has
    a point of the query, or finds the best point of the piece.  Where the solver's optimum is within its tolerances of
    nothing, and the piece fails exactly, the pattern is excluded and the solver asked again, a few times.
Property
    What is returned as a point is one, whatever the solver says.  That there is none is not said here: the proof is
    branch and bound's (:func:`decide`), which the kernel checks.
Reference
    Tjeng, Xiao, Tedrake 2019 (MIPVerify); Fischetti, Jo 2018; for wrong answers of solvers: Cook, Koch, Steffy, Wolter
    2013, *A hybrid branch-and-bound approach for exact rational mixed-integer programming*.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from verifier.engines.branch_and_bound import FEW_UNITS, TOUCHING_UNITS, Effort
from verifier.engines.exact_leaf import pattern_at, piece
from verifier.engines.milp_model import (
    ZERO,
    Encoding,
    encode,
    homogenised,
    homogenised_rows,
    propagated,
    tightened,
    unit_box,
)
from verifier.engines.optimum import NoMaximum, best_of_piece, better_than, climbed
from verifier.engines.subtrees import SearchResult, search
from verifier.kernel.branches import Mask
from verifier.kernel.certificate import ExactLeaf
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Disjunct, Query
from verifier.kernel.rational import FloatArray, Point, dot
from verifier.solvers import pulp
from verifier.solvers.child import Child, ChildFailed
from verifier.solvers.highs import solve_mixed
from verifier.solvers.mixed_integer import INFINITY, Limits, MixedProgram, MixedSolution, MixedStatus, Row, Variable

ROUNDS = 4        # patterns tried of a disjunct that seems to touch
NEAR = 1e-5       # a claimed margin below which a disjunct seems to touch: effort only
NODES = 20_000    # of the solver's tree
SECONDS = 20.0    # for a program when no time limit is given: a solver that is stuck only delays what proves
IMPROVEMENT = 5.0  # seconds for what may only improve on a point that local search has found
TIGHTEN = 30      # binaries above which linear programs narrow the bounds first, and optima begin from local search
GRACE = 5.0       # seconds after which a solver that overruns its limit is stopped
Solve = Callable[[MixedProgram, float | None], MixedSolution]
"""Solve a program within some wall seconds (None: no limit)."""


def no_solver(program: MixedProgram, seconds: float | None) -> MixedSolution:
    """A :data:`Solve` that solves nothing: for those who want the program itself."""
    return MixedSolution(MixedStatus.FAILED, message="there is no solver")


class MilpSolver:
    """A solver by name (``highs``: directly; those of :mod:`verifier.solvers.pulp`: through PuLP) in a child process.

    A context manager, and a :data:`Solve`.  A child that dies or overruns its time is a failed solution.
    Raises ValueError when the solver is unknown or not installed.
    """

    def __init__(self, name: str = "highs", nodes: int = NODES) -> None:
        if name != "highs" and name not in (available := pulp.installed()):
            known = "not installed" if name in pulp.SOLVERS else "unknown"
            raise ValueError(f"the mixed-integer solver {name!r} is {known}: there are {', '.join(available)}")
        self.name = name
        self.nodes = nodes
        self._child = Child()

    def __call__(self, program: MixedProgram, seconds: float | None) -> MixedSolution:
        """Solve."""
        limits = Limits(SECONDS if seconds is None else seconds, self.nodes)
        whole = (limits.seconds or 0.0) + GRACE
        try:
            if self.name == "highs":
                return self._child.call(solve_mixed, program, limits, seconds=whole)
            return self._child.call(pulp.solve, program, self.name, limits, seconds=whole)
        except ChildFailed as error:
            return MixedSolution(MixedStatus.FAILED, message=str(error))

    def __enter__(self) -> MilpSolver:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()


@dataclass(frozen=True)
class Finding:
    """A point of the query, exactly, or None; what the solver says, for people; and whether the largest slack that it
    claims is about 0, so that some disjunct touches or nearly does."""

    point: Point | None
    claim: str
    touching: bool = False


BEYOND = "its numbers are beyond floating point"


class Milp:
    """The model of one network on one domain, and what a solver finds in it.

    ``tighten``: whether bounds are narrowed by linear programs (None: when there are more than TIGHTEN binaries).

    A mixed-integer program is one of floats: making it, and asking, raises OverflowError where a number is beyond.
    """

    def __init__(self, network: Network, domain: Box, solve: Solve, tighten: bool | None = None) -> None:
        self.network, self.domain, self.solve = network, domain, solve
        bounds = propagated(network, domain)
        self.homogeneous = not (domain.is_bounded and bounds.finite)
        modelled, box = (homogenised(network), unit_box(network.inputs)) if self.homogeneous else (network, domain)
        if self.homogeneous:
            bounds = propagated(modelled, box)
        if tighten or (tighten is None and bounds.undecided > TIGHTEN):
            bounds = tightened(modelled, box, bounds)
        self.encoding: Encoding = encode(modelled, box, bounds)

    def program(self, disjunct: Disjunct) -> MixedProgram:
        """Maximise the least slack t of the disjunct's rows.

        On a bounded domain t relaxes every row, so that there is a solution.  Homogenised, (0, 0) is one; there t is
        the slack of the strict rows and of ``s >= 0`` alone, because a point may satisfy the others with equality.
        """
        encoding = self.encoding
        rows = homogenised_rows(self.network, self.domain, disjunct) if self.homogeneous else tuple(disjunct)
        slack = len(encoding.program.variables)
        added = []
        for number, h in enumerate(rows):
            scale = float(max(map(abs, h.normal), default=ZERO)) or 1.0
            terms = {v: c / scale for v, c in encoding.expression(h.normal).items()}
            if h.strict or not self.homogeneous:
                terms[slack] = 1.0
            added.append(Row(f"counterexample_{number}", terms, -INFINITY, float(h.offset) / scale))
        if self.homogeneous:
            added.append(Row("finite", {slack: 1.0, encoding.inputs[-1]: -1.0}, -INFINITY, 0.0))
        base = encoding.program
        return MixedProgram(base.name, (*base.variables, Variable("slack", -INFINITY, 1.0)), (*base.rows, *added),
                            {slack: -1.0})

    def optimum(self, constraints: Disjunct, objective: Point) -> MixedProgram:
        """Maximise the objective over ``(x, N(x))`` where weak constraints hold; the domain is bounded."""
        added = [Row(f"domain_{number}", self.encoding.expression(h.normal), -INFINITY, float(h.offset))
                 for number, h in enumerate(constraints)]
        cost = {v: -c for v, c in self.encoding.expression(objective).items()}
        return self.encoding.program.with_rows(added).with_cost(cost)

    def find(self, disjuncts: Sequence[Disjunct], deadline: float | None = None) -> Finding:
        """A point in one of the disjuncts (``deadline`` as of ``time.time()``)."""
        claim, touching = "", False
        for disjunct in disjuncts:
            program = self.program(disjunct)
            for _ in range(ROUNDS):
                if deadline is not None and time.time() >= deadline:
                    return Finding(None, "the time limit was reached")
                solution = self.solve(program, None if deadline is None else deadline - time.time())
                claim = solution.message or solution.status.value
                if not self.fits(solution, program) or solution.point is None:
                    break
                pattern = self.encoding.pattern(solution.point)
                for proposed in (self.own(pattern), self.pattern_near(solution.point)):
                    point = None if proposed is None else self._point_of(disjunct, proposed)
                    if point is not None:
                        return Finding(point, claim)
                if solution.objective > NEAR:
                    break
                touching = True
                program = program.with_rows([self.exclusion(pattern, len(program.rows))])
        return Finding(None, claim, touching)

    def best(self, constraints: tuple[HalfSpace, ...], objective: Point, deadline: float | None = None) -> Point | None:
        """A point of the domain with a value of the objective that is as large as the solver can make it; of a large
        model in a few seconds, from where local search ends.

        On unbounded domains from the best point of a piece to that of a better one (Dinkelbach), until the solver
        finds none; it ends in a piece without a best point if there is one.
        """
        if self.homogeneous:
            return self._climb(constraints, objective, deadline)
        encoding, program, candidates = self.encoding, self.optimum(constraints, objective), []
        if not constraints and len(encoding.binaries) > TIGHTEN:
            start = climbed(self.network, self.domain, objective, seed=0)
            program = replace(program, start=encoding.point(start))
            candidates.append(start)
        left = IMPROVEMENT if program.start else None
        if deadline is not None:
            left = max(0.0, min(deadline - time.time(), left or INFINITY))
        solution = self.solve(program, left)
        patterns: list[list[Mask] | None] = []
        if self.fits(solution, program) and solution.point is not None:
            patterns = [encoding.pattern(solution.point), self.pattern_near(solution.point)]
        for pattern in patterns:
            found = None if pattern is None else best_of_piece(self.network, self.domain, constraints, objective,
                                                               pattern)
            if isinstance(found, tuple):
                candidates.append(found)
        return max(candidates, key=lambda x: dot(objective, x + self.network.evaluate(x)), default=None)

    def patterns_near(self, disjunct: Disjunct, center: Point, maximum: bool,
                      deadline: float | None = None) -> list[list[Mask]]:
        """Patterns with points of the (closed) disjunct that the solver says are nearest to the centre, in the maximum
        norm or in L1.  The domain is bounded."""
        if self.homogeneous:
            return []
        encoding = self.encoding
        base = len(encoding.program.variables)
        count = 1 if maximum else len(center)
        sizes = tuple(Variable(f"distance_{k}", 0.0, INFINITY) for k in range(count))
        rows = [Row(f"counterexample_{k}", encoding.expression(h.normal), -INFINITY, float(h.offset))
                for k, h in enumerate(disjunct)]
        for i, (variable, c) in enumerate(zip(encoding.inputs, center, strict=True)):
            size = base if maximum else base + i
            rows += [Row(f"distance_{i}_{name}", {variable: sign, size: -1.0}, -INFINITY, sign * float(c))
                     for name, sign in (("above", 1.0), ("below", -1.0))]
        program = MixedProgram(encoding.program.name, (*encoding.program.variables, *sizes),
                               (*encoding.program.rows, *rows), {base + k: 1.0 for k in range(count)})
        solution = self.solve(program, None if deadline is None else max(0.0, deadline - time.time()))
        if not self.fits(solution, program) or solution.point is None:
            return []
        near = self.pattern_near(solution.point)
        return [encoding.pattern(solution.point), *([] if near is None else [near])]

    def exclusion(self, pattern: Sequence[Mask], number: int) -> Row:
        """The row that says: not this pattern."""
        first, terms, ones = 0, {}, 0
        for layer, active in zip(self.encoding.network.layers, pattern, strict=True):
            for i in range(layer.units):
                binary = self.encoding.binaries.get(first + i)
                if binary is not None:
                    terms[binary] = -1.0 if active[i] else 1.0
                    ones += bool(active[i])
            first += layer.units
        return Row(f"excluded_{number}", terms, 1.0 - ones, INFINITY)

    def _climb(self, constraints: tuple[HalfSpace, ...], objective: Point, deadline: float | None) -> Point | None:
        x = self.find((constraints,), deadline).point
        best = None
        while x is not None:
            found = best_of_piece(self.network, self.domain, constraints, objective, pattern_at(self.network, x))
            if isinstance(found, NoMaximum):
                return x
            best = found or x
            value = dot(objective, best + self.network.evaluate(best))
            query = better_than(self.network, self.domain, constraints, objective, value)
            x = self.find(query.disjuncts, deadline).point
        return best

    def fits(self, solution: MixedSolution, program: MixedProgram) -> bool:
        """Whether a solver returned as many numbers as there are, and numbers."""
        point = solution.point
        return point is not None and point.shape == (len(program.variables),) and bool((abs(point) < INFINITY).all())

    def own(self, pattern: Sequence[Mask]) -> list[Mask]:
        """The pattern of the network itself: homogenised, each layer has one unit more."""
        return [a[:-1] for a in pattern] if self.homogeneous else list(pattern)

    def pattern_near(self, point: FloatArray) -> list[Mask] | None:
        """The pattern at the solution's inputs, moved into the box."""
        x = [Fraction(float(point[v])) for v in self.encoding.inputs]
        if self.homogeneous:
            *x, s = x
            if s <= 0:
                return None
            x = [v / s for v in x]
        inside = [v if lo is None or lo <= v else lo for v, lo in zip(x, self.domain.lower, strict=True)]
        return pattern_at(self.network, [v if hi is None or v <= hi else hi for v, hi in
                                         zip(inside, self.domain.upper, strict=True)])

    def _point_of(self, disjunct: Disjunct, pattern: Sequence[Mask]) -> Point | None:
        """A point of the disjunct in the closed piece of the pattern, exactly."""
        answer = piece(Query(self.network, self.domain, (disjunct,)), pattern).decide(0)
        return None if isinstance(answer, ExactLeaf) else answer


def decide(query: Query, solve: Solve, *, deadline: float | None = None, **options: Any) -> tuple[SearchResult, str]:
    """A point by the solver, or else the answer of :func:`verifier.engines.subtrees.search`, with its ``options``; and
    the reason of an answer that is neither a point nor a proof.

    The solver gets half of the time there is.  It guides the proof by what it learned of the margin: where something
    touches, cutting inputs ends late or never, and branches are split on units early.
    """
    half = None if deadline is None else (time.time() + deadline) / 2
    try:
        finding = Milp(query.network, query.domain, solve).find(query.disjuncts, half)
    except OverflowError:
        finding = Finding(None, BEYOND)
    if finding.point is not None:
        return SearchResult((), False, finding.point, Effort()), ""
    result = search(query, deadline=deadline, few_units=TOUCHING_UNITS if finding.touching else FEW_UNITS, **options)
    claim = finding.claim or "it was not asked"
    return result, (f"the mixed-integer solver led to no counterexample ({claim}), and time ran out before that was "
                    "proved")
