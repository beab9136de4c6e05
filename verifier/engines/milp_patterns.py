r"""Activation patterns, enumerated by a mixed-integer solver and confirmed exactly.

Requirement
    A network on a box, further weak half-spaces on the inputs; small enough for one solver run a pattern.
Return
    Patterns of full-dimensional cells, each confirmed; how many were dropped; whether the solver claims that no more
    exist.
Method
    On the model of :mod:`verifier.engines.milp_model` maximise t with ``z >= t`` for every active unit that has a
    binary, and no condition but ``z <= 0`` on the inactive ones: a margin on both sides would miss the cells on which
    a unit is identically zero (relu(relu(x)) has two cells).  Each solution is a pattern, which is excluded; when
    t reaches 0 the solver claims that there are no more.  A margin on one side alone lets lower-dimensional pieces
    through.  So each pattern is walked exactly, in coordinates of the domain's affine hull: a unit whose
    pre-activation is constant has the sign of the constant (0: inactive), every other one contributes a strict row, and
    the pattern is a cell exactly when all rows have a common point.
Property
    Every pattern returned is one; so their number is a lower bound.  That they are all rests on the solver: this
    enumeration is a second opinion on :mod:`verifier.engines.propagate`, which is complete by construction.
Reference
    Serra, Tjandraatmadja, Ramalingam 2018 (the mixed-integer enumeration).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from verifier.engines.lp_cells import interior_point
from verifier.engines.milp import Milp, Solve
from verifier.geometry.chart import Chart, Row, chart_of
from verifier.geometry.exact_maps import ExactMaps
from verifier.kernel.branches import Mask
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.solvers import mixed_integer
from verifier.solvers.mixed_integer import INFINITY, MixedProgram, MixedStatus, Variable

MARGIN = 1e-8  # of the solver's optimum, below which it is taken to claim that nothing is left
Pattern = tuple[tuple[bool, ...], ...]
"""For every layer and unit: active?  Units without a phase say True, identically zero ones False."""


@dataclass(frozen=True)
class Patterns:
    """The confirmed patterns, in the order found; ``dropped`` proposals were no cells of their own; ``finished``: the
    solver claims that there are no more."""

    patterns: tuple[Pattern, ...]
    dropped: int
    finished: bool


def enumerate_patterns(network: Network, domain: Box, rows: Sequence[HalfSpace], solve: Solve, *,
                       most: int = 100_000, deadline: float | None = None) -> Patterns:
    """See the module; at most ``most`` proposals are looked at.  ``rows`` are over the inputs alone.

    Raises EmptyDomainError when the domain is empty, ValueError when dimensions disagree or a row is strict.
    """
    chart = chart_of(domain, rows)
    maps = ExactMaps(network.layers, chart)
    model = Milp(network, domain, solve)
    program = _with_margin(model, rows)
    found: dict[Pattern, None] = {}
    dropped = 0
    for number in range(most):
        if deadline is not None and time.time() >= deadline:
            break
        solution = solve(program, None if deadline is None else max(0.0, deadline - time.time()))
        if solution.status is MixedStatus.INFEASIBLE:
            return Patterns(tuple(found), dropped, finished=True)
        if solution.point is None or solution.point.shape != (len(program.variables),):
            break
        if not solution.objective < -MARGIN:
            return Patterns(tuple(found), dropped, finished=solution.status is MixedStatus.OPTIMAL)
        pattern = model.encoding.pattern(solution.point)
        program = program.with_rows([model.exclusion(pattern, number)])
        confirmed = confirm(chart, maps, [a[:layer.units] for a, layer in zip(pattern, network.layers, strict=True)])
        if confirmed is None or confirmed in found:
            dropped += 1
        else:
            found[confirmed] = None
    return Patterns(tuple(found), dropped, finished=False)


def confirm(chart: Chart, maps: ExactMaps, pattern: Sequence[Mask]) -> Pattern | None:
    """The pattern of the full-dimensional cell that this one stands for, or None when it has none."""
    box = chart.box
    rows: list[Row] = [tuple(-v for v in row) for row in chart.rows]
    signs = b""
    for k, layer in enumerate(maps.layers):
        own = bytearray()
        for i in range(layer.units):
            if not layer.has_phase[i]:
                own.append(1)
                continue
            row = maps.row(k, i, signs)
            if any(row[:-1]):
                rows.append(row if pattern[k][i] else tuple(-v for v in row))
                own.append(int(pattern[k][i]))
            else:
                own.append(int(row[-1] > 0))
        signs += bytes(own)
    if interior_point(tuple(rows), box) is None:
        return None
    result, first = [], 0
    for layer in maps.layers:
        result.append(tuple(map(bool, signs[first:first + layer.units])))
        first += layer.units
    return tuple(result)


def _with_margin(model: Milp, rows: Sequence[HalfSpace]) -> MixedProgram:
    """The model with the domain's rows, and the margin t of the active units to be maximised."""
    base = model.program(tuple(HalfSpace((*row.normal, *[row.offset * 0] * model.network.outputs), row.offset)
                               for row in rows))
    encoding = model.encoding
    margin = len(base.variables)
    added, first = [], 0
    for k, z in enumerate(encoding.z):
        for i, (coefficients, constant) in enumerate(z):
            binary = encoding.binaries.get(first + i)
            if binary is None:
                continue
            # z - t >= l - 1 for an inactive unit, and z >= t for an active one, both in the scale of the bounds
            low, high = float(encoding.bounds.lower[k][i]), float(encoding.bounds.upper[k][i])
            scale = max(-low, high)
            terms = {**{v: c / scale for v, c in coefficients.items()}, margin: -1.0, binary: low / scale - 1.0}
            side = low / scale - 1.0 - constant / scale
            added.append(mixed_integer.Row(f"margin_{k + 1}_{i}", terms, side, INFINITY))
        first += len(z)
    if model.homogeneous:
        added.append(mixed_integer.Row("finite_margin", {encoding.inputs[-1]: 1.0, margin: -1.0}, 0.0, INFINITY))
    slack = margin - 1  # the domain's rows hold without slack
    variables = (*base.variables[:slack], Variable("slack", 0.0, 0.0), Variable("margin", -INFINITY, 1.0))
    return MixedProgram(base.name, variables, (*base.rows, *added), {margin: -1.0})
