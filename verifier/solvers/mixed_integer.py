"""Mixed-integer linear programs in floats, as data: what models are built of, whoever solves them.

    minimise  cost . v   subject to   row_lower <= rows v <= row_upper,   lower <= v <= upper,   v_i in Z for some i

A program is sparse and named, so that one object serves HiGHS directly, PuLP and its solvers, and a person who reads
the file.  Floats round the problem, solvers have tolerances, and all of them have claimed optima that are none: a
:class:`MixedSolution` is a *proposal*.  Its point is looked at for the pattern that it stands for, its bound for what
to try next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from verifier.kernel.rational import FloatArray

INFINITY = float("inf")


class MixedStatus(Enum):
    """What a solver claims of a mixed-integer program."""

    OPTIMAL = "the solver claims an optimum"
    FEASIBLE = "the solver stopped at a limit, with a point"
    INFEASIBLE = "the solver claims that there is no point"
    UNBOUNDED = "the solver claims that the objective is unbounded"
    STOPPED = "the solver stopped at a limit, without a point"
    FAILED = "the solver failed"


@dataclass(frozen=True)
class MixedSolution:
    """A proposal: ``point`` has one number for each variable when there is one; ``objective`` is its value, ``bound``
    (minus infinity: none is claimed) what the solver says no point is below.  ``message`` says why it failed."""

    status: MixedStatus
    point: FloatArray | None = None
    objective: float = INFINITY
    bound: float = -INFINITY
    message: str = ""


@dataclass(frozen=True)
class Limits:
    """Where a solver is to stop: wall seconds (None: nowhere) and nodes of its tree."""

    seconds: float | None = None
    nodes: int = 1_000_000


@dataclass(frozen=True)
class Variable:
    """A variable; ``integer`` ones take whole values."""

    name: str
    lower: float
    upper: float
    integer: bool = False


@dataclass(frozen=True)
class Row:
    """``lower <= sum coefficients[i] v_i <= upper``; no coefficient is 0."""

    name: str
    coefficients: Mapping[int, float]
    lower: float
    upper: float


@dataclass(frozen=True)
class MixedProgram:
    """A program; ``cost`` maps numbers of variables to coefficients, and is to be minimised.  ``start`` has the values
    of a point that a solver may begin with, if one is known."""

    name: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    cost: Mapping[int, float]
    start: tuple[float, ...] = ()

    def with_rows(self, rows: Iterable[Row]) -> MixedProgram:
        """The program with more rows."""
        return replace(self, rows=(*self.rows, *rows))

    def with_cost(self, cost: Mapping[int, float]) -> MixedProgram:
        """The program with another objective."""
        return replace(self, cost=dict(cost))

    def relaxed(self) -> MixedProgram:
        """The linear program without integrality."""
        return replace(self, variables=tuple(replace(v, integer=False) for v in self.variables))

    def violation(self, point: FloatArray) -> float:
        """By how much a point misses bounds or rows, at most, relative to numbers beyond 1."""
        pairs = [(float(point[i]), v.lower, v.upper) for i, v in enumerate(self.variables)]
        pairs += [(float(sum(c * point[i] for i, c in row.coefficients.items())), row.lower, row.upper)
                  for row in self.rows]
        return max((max(low - value, value - high) / max(1.0, abs(value)) for value, low, high in pairs), default=0.0)

    def dense(self) -> tuple[npt.NDArray[np.float64], FloatArray]:
        """The rows as a matrix of shape (rows, variables), and the costs (variables,)."""
        matrix = np.zeros((len(self.rows), len(self.variables)))
        for i, row in enumerate(self.rows):
            matrix[i, list(row.coefficients)] = list(row.coefficients.values())
        cost = np.zeros(len(self.variables))
        cost[list(self.cost)] = list(self.cost.values())
        return matrix, cost


@dataclass
class Builder:
    """A program in the making."""

    name: str
    variables: list[Variable] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def variable(self, name: str, lower: float = -INFINITY, upper: float = INFINITY, integer: bool = False) -> int:
        """Add a variable; returns its number."""
        self.variables.append(Variable(name, lower, upper, integer))
        return len(self.variables) - 1

    def row(self, name: str, coefficients: Mapping[int, float], lower: float = -INFINITY,
            upper: float = INFINITY) -> None:
        """Add a row; coefficients 0 are left out."""
        self.rows.append(Row(name, {i: c for i, c in coefficients.items() if c != 0}, lower, upper))

    def program(self, cost: Mapping[int, float]) -> MixedProgram:
        """The program, with its objective."""
        return MixedProgram(self.name, tuple(self.variables), tuple(self.rows), dict(cost))
