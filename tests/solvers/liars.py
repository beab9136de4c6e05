"""Stand-ins for the solvers that return chosen wrong answers."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from verifier.solvers import highs
from verifier.solvers.exact_lp import Solvers
from verifier.solvers.simplex import ExactProposal, solve_exact


def _wrong_status(lp, start=None):
    honest = highs.solve(lp, start)
    optimal, infeasible = highs.FloatStatus.OPTIMAL, highs.FloatStatus.INFEASIBLE
    return replace(honest, status=infeasible if honest.status is optimal else optimal)


def _everything_basic(lp, start=None):
    ones = (np.ones(k, dtype=np.int8) for k in (lp.matrix.shape[1], lp.matrix.shape[0]))
    return replace(highs.solve(lp, start), basis=highs.Basis(*ones), status=highs.FloatStatus.OPTIMAL)


def _misshapen(lp, start=None):
    nothing = np.zeros(0)
    return replace(highs.solve(lp, start), primal=np.zeros(99), row_duals=nothing,
                   basis=highs.Basis(np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.int8)))


def _shuffled(lp, start=None):
    """A basis of the right size that has nothing to do with the problem; negated values and duals."""
    honest = highs.solve(lp, start)
    rng = np.random.default_rng(lp.matrix.shape[0])
    rows, columns = lp.matrix.shape
    positions = np.zeros(rows + columns, dtype=np.int8)
    positions[rng.permutation(rows + columns)[:rows]] = highs.Position.BASIC
    return replace(honest, primal=-honest.primal, row_duals=-honest.row_duals, objective=-honest.objective,
                   basis=highs.Basis(positions[:columns], positions[columns:]), status=highs.FloatStatus.OPTIMAL)


def _not_a_number(lp, start=None):
    honest = highs.solve(lp, start)
    return replace(honest, primal=honest.primal * np.nan, row_duals=honest.row_duals * np.nan, objective=np.nan,
                   basis=None)


def _eager(lp, start=None):
    """Claims a strictly feasible origin, and in the same breath that the rows exclude everything."""
    return replace(highs.solve(lp, start), primal=np.zeros(lp.matrix.shape[1]), row_duals=-np.ones(lp.matrix.shape[0]),
                   objective=-1.0, status=highs.FloatStatus.OPTIMAL, basis=None)


def _crashing(lp, start=None):
    raise highs.SolverError("no")


FLOAT_LIARS = [_wrong_status, _everything_basic, _misshapen, _shuffled, _not_a_number, _eager, _crashing]


def _zeros(objective, rows, tight):
    return ExactProposal((Fraction(0),) * len(objective), (Fraction(0),) * len(rows))


def _negated(objective, rows, tight):
    honest = solve_exact(objective, rows, tight)
    return honest and ExactProposal(honest.x, tuple(-m for m in honest.multipliers))


def _short(objective, rows, tight):
    return ExactProposal((), ())


def _silent(objective, rows, tight):
    return None


EXACT_LIARS = [_zeros, _negated, _short, _silent]

ALL_LIES = [Solvers(f, e) for f in FLOAT_LIARS for e in EXACT_LIARS]
HONEST_FALLBACK = [Solvers(f, solve_exact) for f in FLOAT_LIARS]
