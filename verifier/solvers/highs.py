"""Floating-point linear programs by HiGHS: the only module that imports highspy.

    minimise  cost . x   subject to   row_lower <= matrix x <= row_upper,   column_lower <= x <= column_upper

Nothing that comes out of here is trusted.  A status, a value, a dual or a ray is a *proposal*, which
:mod:`verifier.solvers.exact_lp` or the kernel proves or discards.

Why the bare solver class: ``highspy.Highs`` adds callbacks and modelling on top of ``_Highs``, of which a sequence of
small solves uses nothing.  Why one thread: the parallelism of the tool lies between problems, not inside one.
Why no presolve: on a few hundred entries it costs more than the simplex steps it saves, an infeasible problem that
presolve detects has no dual ray, and a warm start is possible only without it.  Mixed-integer programs are another
matter: there presolve is on, and the tolerances are as tight as HiGHS allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from verifier.solvers.mixed_integer import Limits, MixedProgram, MixedSolution, MixedStatus

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]
StatusArray = npt.NDArray[np.int8]


class SolverError(RuntimeError):
    """HiGHS rejected the model: it says nothing about the problem."""


class FloatStatus(Enum):
    """What the solver claims."""

    OPTIMAL = "the solver claims an optimal solution"
    INFEASIBLE = "the solver claims that there is no feasible point"
    UNBOUNDED = "the solver claims that the objective is unbounded, or the problem infeasible"
    UNDECIDED = "the solver stopped without a claim"


class Position(IntEnum):
    """Where a basis puts a variable or a row activity (the numbers are those of HiGHS)."""

    LOWER = 0
    BASIC = 1
    UPPER = 2
    ZERO = 3
    NONBASIC = 4


@dataclass(frozen=True, eq=False)
class Basis:
    """Positions (:class:`Position` as int8) of the columns, shape (n,), and of the rows, shape (m,)."""

    columns: StatusArray
    rows: StatusArray


@dataclass(frozen=True, eq=False)
class FloatLp:
    """A dense linear program over n columns and m rows; infinities mean no bound.

    Shapes: cost and column bounds (n,), matrix (m, n), row bounds (m,).
    """

    cost: FloatArray
    matrix: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    column_lower: FloatArray
    column_upper: FloatArray


@dataclass(frozen=True, eq=False)
class FloatSolution:
    """What the solver proposes; the arrays are meaningful as far as ``status`` says.

    ``primal`` and ``column_duals`` have shape (n,), ``row_duals`` and ``dual_ray`` shape (m,).  Duals have the signs
    of ``cost = matrix^T row_duals + column_duals``.  ``dual_ray`` is None unless the claim is infeasibility and the
    solver has one; it may come with either sign.  ``basis`` is None when the solver has none.
    """

    status: FloatStatus
    objective: float
    primal: FloatArray
    row_duals: FloatArray
    column_duals: FloatArray
    basis: Basis | None
    dual_ray: FloatArray | None


_CLAIMS = {
    highspy.HighsModelStatus.kOptimal: FloatStatus.OPTIMAL,
    highspy.HighsModelStatus.kModelEmpty: FloatStatus.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: FloatStatus.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: FloatStatus.UNBOUNDED,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: FloatStatus.UNBOUNDED,
}
_TO_HIGHS = {int(status): status for status in highspy.HighsBasisStatus.__members__.values()}
_OPTIONS: dict[str, bool | int | float | str] = {
    "output_flag": False,
    "threads": 1,
    "parallel": "off",
    "presolve": "off",
    "solver": "simplex",
    "small_matrix_value": 1e-12,  # the smallest that HiGHS allows: below it, it deletes entries
}


class WarmLp:
    """A sequence of linear programs with one matrix; each solve starts from the last basis.

    Raises SolverError when HiGHS rejects the model or a change (NaN, entries beyond 1e15, mismatching shapes).
    Not for use by several threads at once; solving releases the interpreter lock.
    """

    def __init__(self, lp: FloatLp, tolerance: float = 1e-9) -> None:
        """``tolerance``: the feasibility tolerance, primal and dual; HiGHS allows 1e-10 to infinity."""
        self._highs: Any = highspy._core._Highs()  # highspy's stubs lack some methods
        for option, value in _OPTIONS.items():
            self._must(self._highs.setOptionValue(option, value), option)
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            self._must(self._highs.setOptionValue(option, tolerance), option)
        rows, columns = lp.matrix.shape
        self._all_columns: IntArray = np.arange(columns, dtype=np.int32)
        self._all_rows: IntArray = np.arange(rows, dtype=np.int32)
        self._lengths = {"n": columns, "m": rows}
        if not np.isfinite(lp.matrix).all():
            raise SolverError("a matrix needs finite entries")
        self._number("n", lp.cost, lp.column_lower, lp.column_upper)
        self._number("m", lp.row_lower, lp.row_upper)
        self._must(self._highs.passModel(_to_highs(lp)), "the model")

    def _number(self, length: str, *arrays: FloatArray) -> None:
        """HiGHS neither looks for NaN nor at lengths."""
        for array in arrays:
            if array.shape != (self._lengths[length],) or np.isnan(array).any():
                raise SolverError(f"expected {length} = {self._lengths[length]} numbers without NaN, received {array}")

    @staticmethod
    def _must(status: highspy.HighsStatus, action: str) -> None:
        if status == highspy.HighsStatus.kError:
            raise SolverError(f"HiGHS rejects {action}")

    def set_costs(self, cost: FloatArray) -> None:
        """Replace the whole objective, shape (n,)."""
        self._number("n", cost)
        self._must(self._highs.changeColsCost(len(self._all_columns), self._all_columns, cost), "costs")

    def set_column_bounds(self, lower: FloatArray, upper: FloatArray) -> None:
        """Replace all bounds of the variables, shapes (n,)."""
        self._number("n", lower, upper)
        status = self._highs.changeColsBounds(len(self._all_columns), self._all_columns, lower, upper)
        self._must(status, "column bounds")

    def set_row_bounds(self, lower: FloatArray, upper: FloatArray) -> None:
        """Replace all bounds of the rows, shapes (m,)."""
        self._number("m", lower, upper)
        self._must(self._highs.changeRowsBounds(len(self._all_rows), self._all_rows, lower, upper), "row bounds")

    def set_basis(self, basis: Basis) -> None:
        """Start the next solve from ``basis``."""
        start = highspy.HighsBasis()
        start.valid = True
        start.col_status = [_TO_HIGHS[position] for position in basis.columns.tolist()]
        start.row_status = [_TO_HIGHS[position] for position in basis.rows.tolist()]
        self._must(self._highs.setBasis(start), "basis")

    def basis(self) -> Basis | None:
        """The basis of the last solve, None when there is none."""
        basis = self._highs.getBasis()
        if not basis.valid:
            return None
        return Basis(np.array([int(s) for s in basis.col_status], dtype=np.int8),
                     np.array([int(s) for s in basis.row_status], dtype=np.int8))

    def solve(self) -> FloatSolution:
        """Solve, warm when something was solved before."""
        self._highs.run()
        status = _CLAIMS.get(self._highs.getModelStatus(), FloatStatus.UNDECIDED)
        solution = self._highs.getSolution()
        ray = None
        if status is FloatStatus.INFEASIBLE:
            _, has_ray, values = self._highs.getDualRay()
            ray = np.array(values) if has_ray else None
        return FloatSolution(status, self._highs.getInfo().objective_function_value, np.array(solution.col_value),
                             np.array(solution.row_dual), np.array(solution.col_dual), self.basis(), ray)


def solve(lp: FloatLp, start: Basis | None = None, tolerance: float = 1e-9) -> FloatSolution:
    """Solve one linear program, from the basis ``start`` when given.  Raises SolverError as :class:`WarmLp` does."""
    model = WarmLp(lp, tolerance)
    if start is not None:
        model.set_basis(start)
    return model.solve()


def _to_highs(lp: FloatLp) -> highspy.HighsLp:
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = lp.matrix.shape
    model.col_cost_ = lp.cost
    model.col_lower_, model.col_upper_ = lp.column_lower, lp.column_upper
    model.row_lower_, model.row_upper_ = lp.row_lower, lp.row_upper
    present = lp.matrix != 0.0
    sparse = model.a_matrix_
    sparse.format_ = highspy.MatrixFormat.kRowwise
    sparse.start_ = np.concatenate(([0], np.cumsum(present.sum(axis=1)))).astype(np.int32)
    sparse.index_ = np.nonzero(present)[1].astype(np.int32)
    sparse.value_ = lp.matrix[present]
    return model


_MIXED_CLAIMS = {
    highspy.HighsModelStatus.kOptimal: MixedStatus.OPTIMAL,
    highspy.HighsModelStatus.kModelEmpty: MixedStatus.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: MixedStatus.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: MixedStatus.UNBOUNDED,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: MixedStatus.UNBOUNDED,
}
_MIXED_OPTIONS: dict[str, bool | int | float | str] = {
    "output_flag": False, "threads": 1, "parallel": "off", "small_matrix_value": 1e-12,
    "mip_rel_gap": 0.0, "mip_abs_gap": 1e-10, "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9,
}


def solve_mixed(program: MixedProgram, limits: Limits) -> MixedSolution:
    """Solve a mixed-integer program; what HiGHS rejects comes back as FAILED."""
    model: Any = highspy._core._Highs()
    options = {**_MIXED_OPTIONS, "mip_max_nodes": limits.nodes}
    if limits.seconds is not None:
        options["time_limit"] = limits.seconds
    for option, value in options.items():
        if model.setOptionValue(option, value) == highspy.HighsStatus.kError:
            return MixedSolution(MixedStatus.FAILED, message=f"HiGHS rejects the option {option}")
    matrix, cost = program.dense()
    lower, upper = (np.array(side, dtype=np.float64) for side in
                    zip(*((v.lower, v.upper) for v in program.variables), strict=True))
    sides = np.array([(row.lower, row.upper) for row in program.rows], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(matrix).all() or np.isnan(np.concatenate([cost, lower, upper, sides.ravel()])).any():
        return MixedSolution(MixedStatus.FAILED, message="the program is beyond floats")
    lp = _to_highs(FloatLp(cost, matrix, sides[:, 0], sides[:, 1], lower, upper))
    kinds = highspy.HighsVarType
    lp.integrality_ = [kinds.kInteger if v.integer else kinds.kContinuous for v in program.variables]
    if model.passModel(lp) == highspy.HighsStatus.kError:
        return MixedSolution(MixedStatus.FAILED, message="HiGHS rejects the model")
    if program.start:
        start = highspy.HighsSolution()
        start.col_value = list(program.start)
        model.setSolution(start)
    model.run()
    info, solution = model.getInfo(), model.getSolution()
    point = np.array(solution.col_value)
    status = _MIXED_CLAIMS.get(model.getModelStatus())
    has_point = bool(solution.value_valid) and point.shape == cost.shape
    if status is None:
        status = MixedStatus.FEASIBLE if has_point else MixedStatus.STOPPED
    has_point &= status in (MixedStatus.OPTIMAL, MixedStatus.FEASIBLE)
    bound = info.mip_dual_bound if any(v.integer for v in program.variables) else info.objective_function_value
    return MixedSolution(status, point if has_point else None,
                         info.objective_function_value if has_point else float("inf"),
                         bound if status in (MixedStatus.OPTIMAL, MixedStatus.FEASIBLE, MixedStatus.STOPPED)
                         else -float("inf"))
