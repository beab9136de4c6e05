r"""Is there a point in a box with some rows weak and some strict?  Two linear programs decide, with a proof.

    exists x in the box:   a_i . x <= b_i   for every row,   a_i . x < b_i   for the strict rows.

**Refutations.**  For multipliers ``m >= 0`` let ``L(m)`` be the infimum over the box of ``sum m_i (a_i . x - b_i)``.
At a solution this sum is at most 0, and negative when a strict row has ``m_i > 0``.  So ``m`` proves that there is no
solution when ``L(m) > 0`` (Farkas), or ``L(m) >= 0`` and some strict row has ``m_i > 0`` (Motzkin).

**First program.**  Choose weights ``w_i > 0`` and minimise ``v >= -1`` under ``a_i . x - w_i v <= b_i``.  It is
feasible (any x, a large v) and bounded, so it has an optimum ``v*`` and multipliers ``m >= 0`` with

    v* = inf over v >= -1 and the box of   (1 - S) v + sum m_i (a_i . x - b_i),   S = sum m_i w_i.

Finiteness needs ``S <= 1``, so ``v* = L(m) - (1 - S)``, that is ``L(m) = v* + 1 - S``.
If ``v* < 0`` its point satisfies every row strictly.  If ``v* > 0`` then ``L(m) > 0``: Farkas.  If ``v* = 0`` the
closed set is not empty, its point solves the question when no row is strict, and otherwise the second program decides.

**Second program,** for ``v* = 0``.  Maximise ``t`` in [0, 1] under ``a_i . x + w_i t <= b_i`` for strict rows,
``a_i . x <= b_i`` for the others.  It is feasible (a point of the first program, ``t = 0``) and bounded.  If ``t* > 0``
its point is a solution.  Conversely a solution has slack on the strict rows, so ``t* = 0`` proves that there is none;
its multipliers say so: with S summed over the strict rows,

    0 = -t* = inf over t in [0, 1] and the box of  (S - 1) t + sum m_i (a_i . x - b_i)  =  min(0, S - 1) + L(m),

so ``L(m) = max(0, 1 - S) >= 0``.  Either ``S >= 1`` and a strict row has positive weight (Motzkin), or ``S < 1`` and
``L(m) > 0``.

*Why two.*  One slack for all rows is useless when rows are equations in disguise (``x <= 0`` and ``-x <= 0``): its
optimum is 0 whatever the strict rows say.  *Why v down to -1* and not to 0: when the solutions have an interior, the
first program already ends with a point inside, which moreover survives rounding to a few binary digits.
*Why the proofs are tested first.*  Float points and multipliers are rounded and tested exactly before any basis is
solved: with a positive margin and a bounded box they pass.  Only what passes such a test is ever returned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix, Point
from verifier.solvers import highs
from verifier.solvers.basis import float_view
from verifier.solvers.exact_lp import SOLVERS, Solvers, optimum
from verifier.solvers.linear_program import ZERO, LinearProgram, LpError
from verifier.solvers.rows import Rows

ONE = Fraction(1)
POINT_BITS = (8, 24)
MULTIPLIER_BITS = 40


@dataclass(frozen=True)
class Witness:
    """A point of the box that satisfies every row, the strict ones strictly."""

    x: Point


@dataclass(frozen=True)
class Refutation:
    """Multipliers, one a row, that :func:`verify_refutation` accepts: there is no such point."""

    multipliers: Point


def verify_witness(rows: Matrix | Rows, strict: Sequence[bool], box: Box, x: Sequence[Fraction]) -> bool:
    """Whether ``x`` lies in the box and satisfies the rows, exactly."""
    table = rows if isinstance(rows, Rows) else Rows.from_matrix(rows)
    return box.contains(x) and all(r < 0 if s else r <= 0 for r, s in zip(table.residuals(x), strict, strict=True))


def verify_refutation(rows: Matrix | Rows, strict: Sequence[bool], box: Box, multipliers: Sequence[Fraction]) -> bool:
    """Whether the multipliers prove that no point exists: ``m >= 0``, and ``L(m) > 0``, or ``L(m) >= 0`` with positive
    weight on a strict row.  Exact.  Raises ValueError when lengths disagree."""
    table = rows if isinstance(rows, Rows) else Rows.from_matrix(rows)
    if len(multipliers) != table.count or len(strict) != table.count:
        raise ValueError(f"{table.count} rows need as many multipliers and flags, received {len(multipliers)} and "
                         f"{len(strict)}")
    if any(m.numerator < 0 for m in multipliers):
        return False
    normal, offset = table.combination(multipliers)
    least = box.minimum(normal)
    if least is None:
        return False
    return least > offset or (least == offset and any(m > 0 and s for m, s in zip(multipliers, strict, strict=True)))


def strict_feasibility(rows: Matrix | Rows, strict: Sequence[bool], box: Box,
                       solvers: Solvers = SOLVERS) -> Witness | Refutation:
    """Decide whether some x in the closed box has ``a_i . x <= b_i``, and ``<`` where ``strict[i]``; with a proof.

    ``rows`` has shape (m, n + 1): ``a_i`` and, last, ``b_i``.  An equation is two rows.
    Raises ValueError when shapes disagree, LpError when no solver proposes an answer that exact arithmetic confirms.
    """
    table = rows if isinstance(rows, Rows) else Rows.from_matrix(rows)
    if len(strict) != table.count or box.dimension != table.dimension:
        raise ValueError(f"{table.count} rows over {table.dimension} variables need as many flags and coordinates, "
                         f"received {len(strict)} and {box.dimension}")
    question = _Question(table, tuple(strict), box)
    for program in (_first_program, _second_program):
        answer = _answer(question, program(question), solvers)
        if answer is not None:
            return answer
    raise LpError("the two programs have optima, but neither decides: their proofs are inconsistent")


@dataclass(frozen=True, eq=False)
class _Question:
    rows: Rows
    strict: tuple[bool, ...]
    box: Box

    def proved(self, points: Iterable[Sequence[Fraction]], refutations: Iterable[Sequence[Fraction]]
               ) -> Witness | Refutation | None:
        """The first proposal that is a proof."""
        for x in points:
            if verify_witness(self.rows, self.strict, self.box, x):
                return Witness(tuple(x))
        for multipliers in refutations:
            if verify_refutation(self.rows, self.strict, self.box, multipliers):
                return Refutation(tuple(multipliers))
        return None


def _first_program(question: _Question) -> LinearProgram:
    rows, box = question.rows, question.box
    return LinearProgram((ZERO,) * box.dimension + (ONE,), rows.with_column([-w for w in rows.magnitudes]),
                         Box((*box.lower, -ONE), (*box.upper, None)), (False,) * rows.count)


def _second_program(question: _Question) -> LinearProgram:
    rows, box = question.rows, question.box
    slack = [w if s else 0 for w, s in zip(rows.magnitudes, question.strict, strict=True)]
    return LinearProgram((ZERO,) * box.dimension + (-ONE,), rows.with_column(slack),
                         Box((*box.lower, ZERO), (*box.upper, ONE)), (False,) * rows.count)


def _answer(question: _Question, program: LinearProgram, solvers: Solvers) -> Witness | Refutation | None:
    """A proof from the program: from rounded floats when they suffice, else from its exact optimum."""
    proposal = None
    try:
        proposal = solvers.propose(float_view(program), None)
    except highs.SolverError:  # the floats cannot hold the problem; the exact optimum remains
        pass
    else:
        found = proposal.objective < 0
        quick = question.proved(_points(question, proposal.primal[:-1].tolist()) if found else (),
                                () if found else _multipliers(question, proposal.row_duals.tolist()))
        if quick is not None:
            return quick
    best = optimum(program, solvers, proposal)
    exact = [m * d if m else m for m, d in zip(best.row_multipliers, question.rows.denominators, strict=True)]
    return question.proved(_points(question, best.x[:-1]), (exact,))


def _points(question: _Question, x: Sequence[Fraction] | Sequence[float]) -> Iterator[Sequence[Fraction]]:
    """``x`` rounded to few binary digits and pushed into the box, then ``x`` itself; nothing for a useless proposal."""
    box = question.box
    if len(x) != box.dimension or not all(isinstance(v, Fraction) or math.isfinite(v) for v in x):
        return
    exact = [Fraction(v) for v in x]
    for bits in POINT_BITS:
        yield [value if lo is None or lo <= value else lo for lo, value in
               zip(box.lower, (value if hi is None or value <= hi else hi for value, hi in
                               zip(_rounded(exact, bits), box.upper, strict=True)), strict=True)]
    yield exact


def _multipliers(question: _Question, duals: Sequence[float]) -> Iterator[Sequence[Fraction]]:
    """Float duals (of rows in the scale of the float view, with the signs of a minimisation) made into multipliers."""
    rows = question.rows
    if len(duals) != rows.count or not all(map(math.isfinite, duals)):
        return
    unit = math.ldexp(max(map(abs, duals), default=0.0), -MULTIPLIER_BITS) or 1.0
    yield [Fraction(round(-dual / unit) * d, scale) if dual < 0 else ZERO
           for dual, d, scale in zip(duals, rows.denominators, rows.magnitudes, strict=True)]


def _rounded(values: Sequence[Fraction], bits: int) -> list[Fraction]:
    """Multiples of one power of two, ``bits`` binary digits below the largest value."""
    top = max((abs(v) for v in values), default=ZERO)
    quantum = Fraction(2) ** (top.numerator.bit_length() - top.denominator.bit_length() - bits)
    return [round(v / quantum) * quantum for v in values]
