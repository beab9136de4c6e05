"""Mixed-integer programs through PuLP: the only module that imports pulp.

PuLP writes a program as a file that people and other programs read (LP, MPS), and hands it to whatever solver is
installed: CBC, which comes with it, SCIP, Gurobi, or HiGHS.  Building its objects takes longer than HiGHS needs for a
small program, so inner loops use :func:`verifier.solvers.highs.solve_mixed`.

Two things to know of PuLP 3.  Files carry 12 digits, so what another solver sees is a rounded program; nothing that
comes back is trusted anyway.  And with a time limit and an incumbent the *status* says "Optimal": only ``sol_status``
tells an optimum from a point at which the clock stopped.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from verifier.solvers.mixed_integer import INFINITY, Limits, MixedProgram, MixedSolution, MixedStatus

SOLVERS = ("highs", "cbc", "scip", "gurobi")
VIOLATION = 1e-4  # beyond it a solution is none: effort only
SUFFIXES = (".lp", ".mps")
_PULP_NAMES = {"highs": ("HiGHS",), "cbc": ("COIN_CMD", "PULP_CBC_CMD"), "scip": ("SCIP_PY", "SCIP_CMD"),
               "gurobi": ("GUROBI", "GUROBI_CMD")}


def installed() -> tuple[str, ...]:
    """Those of SOLVERS that can be used here."""
    return tuple(name for name in SOLVERS if _solver(name, Limits()) is not None)


def write(program: MixedProgram, path: Path) -> None:
    """Write the program as a file, with its names; the suffix, one of SUFFIXES, is the format.  Maximisations of the
    caller are minimisations of the negated objective.  Raises OSError, and ValueError for another suffix."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"a file name ending with {' or '.join(SUFFIXES)} was required, received {path.name!r}")
    problem = express(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what will change in PuLP 4
        if path.suffix == ".lp":
            problem.writeLP(str(path), max_length=255)
        else:
            problem.writeMPS(str(path))


def solve(program: MixedProgram, solver: str, limits: Limits) -> MixedSolution:
    """Solve with one of SOLVERS; a solver that is missing, breaks, or returns what is no solution is FAILED.

    CBC 2.10.3 is asked without its preprocessing of integers: with it, it prints "postprocessed model is infeasible"
    and "optimal" of the same point (a case is among the tests).
    """
    import pulp  # noqa: PLC0415

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        chosen = _solver(solver, limits)
        if chosen is None:
            return MixedSolution(MixedStatus.FAILED, message=f"the solver {solver} is not installed")
        chosen.tmpDir = folder
        problem = express(program)
        try:
            problem.solve(chosen)
        except (pulp.PulpSolverError, OSError, ValueError, IndexError) as error:
            return MixedSolution(MixedStatus.FAILED, message=f"{solver}: {' '.join(str(error).split())}")
    solution = read_solution(problem, program)
    if solution.point is not None and program.violation(solution.point) > VIOLATION:
        return MixedSolution(MixedStatus.FAILED, message=f"{solver}: its solution does not satisfy the program")
    return solution


def read_solution(problem: Any, program: MixedProgram) -> MixedSolution:
    """What a solved PuLP problem proposes."""
    import pulp  # noqa: PLC0415

    status = {
        pulp.LpSolutionOptimal: MixedStatus.OPTIMAL,
        pulp.LpSolutionIntegerFeasible: MixedStatus.FEASIBLE,
        pulp.LpSolutionInfeasible: MixedStatus.INFEASIBLE,
        pulp.LpSolutionUnbounded: MixedStatus.UNBOUNDED,
    }.get(problem.sol_status, MixedStatus.STOPPED)
    if problem.status == pulp.LpStatusNotSolved and status is MixedStatus.INFEASIBLE:
        status = MixedStatus.STOPPED  # PuLP maps what was not solved to "no solution exists"
    if status not in (MixedStatus.OPTIMAL, MixedStatus.FEASIBLE):
        return MixedSolution(status)
    found = {variable.name: variable.varValue for variable in problem.variables()}
    values = [found.get(variable.name, 0.0) for variable in program.variables]
    if any(value is None for value in values):
        return MixedSolution(MixedStatus.STOPPED)
    point = np.array(values, dtype=np.float64)
    objective = float(sum(c * point[i] for i, c in program.cost.items()))
    return MixedSolution(status, point, objective, objective if status is MixedStatus.OPTIMAL else -INFINITY)


def express(program: MixedProgram) -> Any:
    """The program as a ``pulp.LpProblem``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what will change in PuLP 4
        return _problem(program)


def _problem(program: MixedProgram) -> Any:
    import pulp  # noqa: PLC0415

    problem = pulp.LpProblem(program.name, pulp.LpMinimize)
    variables = [pulp.LpVariable(v.name, _bound(v.lower), _bound(v.upper), pulp.LpInteger if v.integer else
                                 pulp.LpContinuous) for v in program.variables]
    problem.addVariables(variables)
    # what occurs nowhere else is written with a cost of 0: PuLP's MPS files would give it bounds, but no column
    mentioned = {i for row in program.rows for i in row.coefficients}
    cost = {**{i: 0.0 for i in range(len(variables)) if i not in mentioned}, **program.cost}
    problem += pulp.LpAffineExpression([(variables[i], c) for i, c in cost.items()], name="objective")
    for row in program.rows:
        terms = pulp.LpAffineExpression([(variables[i], c) for i, c in row.coefficients.items()])
        if not row.coefficients:
            terms = pulp.LpAffineExpression([(variables[0], 0.0)])  # PuLP drops rows without terms, right or wrong
        if row.lower == row.upper:
            problem += pulp.LpConstraint(terms, pulp.LpConstraintEQ, row.name, row.upper)
            continue
        both = row.lower > -INFINITY and row.upper < INFINITY
        if row.lower > -INFINITY:
            problem += pulp.LpConstraint(terms, pulp.LpConstraintGE, f"{row.name}_low" if both else row.name, row.lower)
        if row.upper < INFINITY:
            problem += pulp.LpConstraint(terms, pulp.LpConstraintLE, row.name, row.upper)
    return problem


def _bound(value: float) -> float | None:
    return None if value in (INFINITY, -INFINITY) else value


def _solver(name: str, limits: Limits) -> Any:
    """The PuLP solver of that name, or None when it is not installed."""
    import pulp  # noqa: PLC0415

    options: dict[str, Callable[[], dict[str, Any]]] = {
        "highs": lambda: {"gapRel": 0.0, "gapAbs": 1e-10, "threads": 1, "mip_max_nodes": limits.nodes,
                          "mip_feasibility_tolerance": 1e-9, "primal_feasibility_tolerance": 1e-9},
        "cbc": lambda: {"gapRel": 0.0, "gapAbs": 1e-10, "maxNodes": limits.nodes,
                        "options": ["primalT 1e-9", "dualT 1e-9", "integerT 1e-9", "preprocess off"]},
        "scip": lambda: {"gapRel": 0.0, "maxNodes": limits.nodes},
        "gurobi": lambda: {"gapRel": 0.0},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in _PULP_NAMES[name]:
            try:
                solver = pulp.getSolver(kind, msg=False, timeLimit=limits.seconds, **options[name]())
                if solver.available():
                    return solver
            except (pulp.PulpSolverError, AttributeError, TypeError):
                continue
    return None
