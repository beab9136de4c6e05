"""Exact linear programming: floats propose a basis, exact arithmetic disposes.

**Why by a basis.**  Rounded multipliers leave a residual, which only a bounded box with a positive margin can absorb;
the exact solution of a basis (:mod:`verifier.solvers.basis`) leaves none.  A float solver's tolerances may accept a
basis that is exactly infeasible by a hair; then the problem is magnified about the basic solution and solved again from
the same basis.  What still fails goes to exact pivots (:mod:`verifier.solvers.simplex`).

**Why everything after the first attempt is feasible and bounded.**  The claims "infeasible" and "unbounded" are decided
by auxiliary problems that have an optimum: minimise the relaxation ``v >= 0`` of all rows; minimise ``c . d >= -1``
over the recession cone.  With ``v* > 0`` the multipliers of the first are a Farkas certificate: the coefficient of
``v >= 0`` in the combination is nonnegative, so ``v* = D(m) <= inf over the box of sum m_i (a_i . x - b_i)``.  With
``v* = 0`` it yields a feasible point; then the second yields a ray, or proves that there is an optimum.  So a single
test, "is this pair optimal?", stands behind all three answers, and the statuses of solvers decide no more than what is
tried first.

References: Applegate, Cook, Dash, Espinoza, *Exact solutions to linear programming problems* (2007);
Gleixner, Steffy, Wolter, *Iterative refinement for linear programming* (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Point, common_denominator, dot
from verifier.solvers import highs, simplex
from verifier.solvers.basis import basic_solution, float_view, magnification, slack_basis
from verifier.solvers.linear_program import (
    ZERO,
    Infeasible,
    LinearProgram,
    LpError,
    Optimal,
    Unbounded,
    is_feasible,
    is_ray,
    lower_bound,
    recession_cone,
)
from verifier.solvers.rows import Rows

ROUNDS = 4  # bases that are tried: the first and three refinements


@dataclass(frozen=True)
class Solvers:
    """Who proposes.  Nothing they say is believed, so any stand-in of the same shape gives the same answers."""

    propose: Callable[[highs.FloatLp, highs.Basis | None], highs.FloatSolution] = highs.solve
    exact: Callable[[Sequence[Fraction], Sequence[Sequence[Fraction]], Collection[int]],
                    simplex.ExactProposal | None] = simplex.solve_exact


SOLVERS = Solvers()


def solve(lp: LinearProgram, solvers: Solvers = SOLVERS) -> Optimal | Infeasible | Unbounded:
    """The exact answer, proved.

    Notes: one float solve and one integer system when the problem has an optimum and the proposed basis is right; one
    auxiliary problem more when it is infeasible, two more when it is unbounded.
    Raises LpError when no proposal passes the exact tests.
    """
    best = _by_basis(lp, solvers, None)
    if best is not None:
        return best
    start = _least_relaxation(lp, solvers)
    if isinstance(start, Infeasible):
        return start
    ray = _descent_ray(lp, solvers)
    return Unbounded(start, ray) if ray is not None else _by_pivots(lp, solvers)


def optimum(lp: LinearProgram, solvers: Solvers = SOLVERS, first: highs.FloatSolution | None = None) -> Optimal:
    """The optimum of a problem that is known to be feasible and bounded, proved.

    ``first``: a float solution of ``float_view(lp)`` that is at hand already.
    Raises LpError when no proposal passes the exact tests.
    """
    return _by_basis(lp, solvers, first) or _by_pivots(lp, solvers)


def _certified(lp: LinearProgram, x: Point, multipliers: Point) -> Optimal | None:
    """The one test behind every answer."""
    value = dot(lp.objective, x)
    if is_feasible(lp, x) and lower_bound(lp, multipliers) == value:
        return Optimal(value, x, multipliers)
    return None


def _by_basis(lp: LinearProgram, solvers: Solvers, first: highs.FloatSolution | None) -> Optimal | None:
    """The optimum from a basis of the float solver, or None."""
    try:
        proposal = first or solvers.propose(float_view(lp), None)
        for _ in range(ROUNDS):
            if proposal.status is highs.FloatStatus.INFEASIBLE:
                return None  # such a basis does not even claim a point
            basis = proposal.basis or slack_basis(lp)
            solution = basic_solution(lp, basis)
            if solution is None:
                return None
            best = _certified(lp, *solution)
            if best is not None or proposal.status is not highs.FloatStatus.OPTIMAL:
                return best
            proposal = solvers.propose(float_view(lp, solution[0], magnification(lp, solution[0])), basis)
    except highs.SolverError:  # the floats cannot even hold the problem
        pass
    return None


def _by_pivots(lp: LinearProgram, solvers: Solvers) -> Optimal:
    """The optimum of a feasible and bounded problem by exact pivots."""
    rows, owner = _as_inequalities(lp)
    proposal = solvers.exact(lp.objective, rows, _tight(lp, owner, solvers))
    if proposal is not None and len(proposal.x) == lp.rows.dimension and len(proposal.multipliers) == len(rows):
        multipliers = [ZERO] * lp.rows.count
        for (index, sign), m in zip(owner, proposal.multipliers, strict=False):  # the bounds, last, need none
            multipliers[index] += sign * m
        best = _certified(lp, proposal.x, tuple(multipliers))
        if best is not None:
            return best
    raise LpError(f"no proposal for a linear program of {lp.rows.count} rows and {lp.rows.dimension} variables passes "
                  "the exact test of optimality")


def _tight(lp: LinearProgram, owner: Sequence[tuple[int, int]], solvers: Solvers) -> list[int]:
    """Where exact pivots may start: the inequalities that the float solver's basis says are tight, if it has one."""
    try:
        basis = solvers.propose(float_view(lp), None).basis
    except highs.SolverError:
        return []
    if basis is None or (len(basis.columns), len(basis.rows)) != (lp.rows.dimension, lp.rows.count):
        return []
    named = [basis.rows[index] != highs.Position.BASIC for index, _ in owner]
    for position, lo, hi in zip(basis.columns, lp.box.lower, lp.box.upper, strict=True):
        named += [position == side for side, bound in ((highs.Position.LOWER, lo), (highs.Position.UPPER, hi))
                  if bound is not None]
    return [number for number, tight in enumerate(named) if tight]


def _as_inequalities(lp: LinearProgram) -> tuple[list[list[Fraction]], list[tuple[int, int]]]:
    """All rows ``(a, b)`` of the problem, bounds of variables last, and for the others ``(row, sign)`` of origin."""
    rows: list[list[Fraction]] = []
    owner: list[tuple[int, int]] = []
    for index, (entries, d, equal) in enumerate(zip(lp.rows.entries, lp.rows.denominators, lp.equality, strict=True)):
        for sign in (1, -1) if equal else (1,):
            rows.append([Fraction(sign * v, d) for v in entries])
            owner.append((index, sign))
    for j, (lo, hi) in enumerate(zip(lp.box.lower, lp.box.upper, strict=True)):
        for sign, bound in ((-1, lo), (1, hi)):
            if bound is not None:
                rows.append([*(Fraction(sign * (j == i)) for i in range(lp.rows.dimension)), sign * bound])
    return rows, owner


def _least_relaxation(lp: LinearProgram, solvers: Solvers) -> Infeasible | Point:
    """A feasible point, or the certificate that there is none; an equation is relaxed in both directions."""
    signed = [(i, sign) for i, equal in enumerate(lp.equality) for sign in ((1, -1) if equal else (1,))]
    split = Rows.from_integers([[sign * v for v in lp.rows.entries[i]] for i, sign in signed], lp.rows.dimension)
    relaxed = LinearProgram((ZERO,) * lp.rows.dimension + (Fraction(1),),
                            split.with_column([-scale for scale in split.magnitudes]),
                            Box((*lp.box.lower, ZERO), (*lp.box.upper, None)), (False,) * len(signed))
    best = optimum(relaxed, solvers)
    if best.value == 0:
        return best.x[:-1]
    multipliers = [ZERO] * lp.rows.count
    for (index, sign), m in zip(signed, best.row_multipliers, strict=True):
        multipliers[index] += sign * m * lp.rows.denominators[index]
    bound = lower_bound(lp, multipliers, (ZERO,) * lp.rows.dimension)
    if bound is None or bound <= 0:
        raise LpError("the least relaxation is positive, but its multipliers are no proof of infeasibility")
    return Infeasible(tuple(multipliers))


def _descent_ray(lp: LinearProgram, solvers: Solvers) -> Point | None:
    """A ray of descent, or None when there is none."""
    scale = common_denominator(lp.objective)
    entries = [(*row[:-1], 0) for row in lp.rows.entries]
    entries.append((*(int(-c * scale) for c in lp.objective), scale))  # c . d >= -1
    rows = Rows.from_integers(entries, lp.rows.dimension)
    best = optimum(LinearProgram(lp.objective, rows, recession_cone(lp.box), (*lp.equality, False)), solvers)
    if best.value == 0:
        return None
    if not is_ray(lp, best.x):
        raise LpError("the objective falls along a direction that is no ray of the feasible set")
    return best.x
