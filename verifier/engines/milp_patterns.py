r"""Activation patterns on the tree of the mixed-integer model: proposed by a solver, confirmed and completed exactly.

Requirement
    A network on a box, further weak half-spaces on the inputs; few enough cells to list.
Return
    The patterns of all full-dimensional cells, how the missing branches were refuted, and what the solver got wrong.
Method
    A node of the tree fixes the binaries of the first units, layer by layer; the rest of the patterns is split into the
    two sub-boxes of the next binary, and the leaves are the patterns.  Where a pattern is known below one of the two,
    only the other is asked for: on the model of :mod:`verifier.engines.milp_model` maximise t with ``z >= t`` for
    every active unit that has a binary, and no condition but ``z <= 0`` on the inactive ones (a margin on both sides
    would miss the cells on which a unit is identically zero: relu(relu(x)) has two cells).

    Any mixed-integer solver can be asked.  But because units are fixed in order, the relaxation is as good: whatever
    input satisfies the units that are fixed has values for the others.  So without a solver one linear program with
    two bounds changed is solved from the last basis, and its input has the pattern.

    *What is proposed is walked exactly*, in coordinates of the domain's affine hull: a unit whose pre-activation is
    constant has the sign of the constant (0: inactive), every other one contributes a strict row, and the pattern is a
    cell exactly when all rows have a common point (a margin on one side alone lets lower-dimensional pieces through).
    *Where nothing is proposed*, "infeasible" is not believed: exact multipliers of the rows of the fixed units refute
    the sub-box (Motzkin), or exact arithmetic finds the point that the solver has missed and the walk goes on from
    there.  A refutation uses few rows, so it holds in every sub-box with these rows: most are refuted a second time by
    multipliers that are known.
Property
    Complete and exact when ``finished``, whatever the solver says.  It is a second opinion on
    :mod:`verifier.engines.propagate`: the two share the exact affine maps of a cell, and none of the tests by which
    a sign is decided.
Reference
    Serra, Tjandraatmadja, Ramalingam 2018 (the mixed-integer enumeration); Danna, Fenelon, Gu, Wunderling 2007 (one
    tree for many solutions).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from verifier.engines.lp_cells import interior_point
from verifier.engines.milp import Milp, Solve, no_solver
from verifier.engines.milp_model import float_lp
from verifier.geometry.chart import Row, chart_of
from verifier.geometry.exact_maps import ExactMaps
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.solvers import mixed_integer
from verifier.solvers.highs import FloatStatus, WarmLp
from verifier.solvers.mixed_integer import INFINITY, MixedProgram, Variable
from verifier.solvers.rows import Rows
from verifier.solvers.two_lps import Refutation, strict_feasibility

MARGIN = 1e-8  # of the solver's optimum, below which it is taken to claim that there is nothing: effort only
Pattern = tuple[tuple[bool, ...], ...]
"""For every layer and unit: active?  Units without a phase say True, identically zero ones False."""

Signs = bytes
"""One byte a unit, layer after layer: 1 active or without a phase, 0 inactive."""


@dataclass
class Patterns:
    """The patterns of cells, in the order of the tree.

    ``finished``: there are no others, which is proved: ``refuted`` sub-boxes were refuted by multipliers found for
    them, ``again`` by multipliers known before.  ``dropped`` proposals were no cells (lower-dimensional pieces, or
    nonsense).  ``missed`` sub-boxes have cells although the solver said that there is nothing: it was wrong, or they
    are thinner than its tolerances.
    """

    patterns: list[Pattern]
    refuted: int = 0
    again: int = 0
    dropped: int = 0
    missed: int = 0
    finished: bool = False


def enumerate_patterns(network: Network, domain: Box, rows: Sequence[HalfSpace] = (), solve: Solve | None = None, *,
                       deadline: float | None = None) -> Patterns:
    """See the module.  ``rows`` are over the inputs alone; ``solve`` is asked for patterns (None: linear programs by
    HiGHS, warm); ``deadline`` as of ``time.time()``.

    Raises EmptyDomainError when the domain is empty, ValueError when dimensions disagree or a row is strict.
    """
    tree = _Tree(network, domain, rows, solve, deadline)
    open_nodes = [tree.root()]
    while open_nodes:
        if deadline is not None and time.time() >= deadline:
            return tree.told
        node = open_nodes.pop()
        if len(node.signs) < len(tree.units):
            open_nodes.extend(tree.parts(node))
        else:
            tree.told.patterns.append(_by_layers(network, node.signs))
    tree.told.finished = True
    return tree.told


@dataclass(frozen=True)
class _Node:
    """The patterns that begin with ``signs``.  ``rows`` (> 0 in the cells' interiors) are those of the domain and of
    the ``owners``, units that are not constant; ``pattern`` is one of the patterns, if one is known."""

    signs: Signs
    rows: tuple[Row, ...]
    owners: tuple[int, ...]
    pattern: Signs | None

    def with_sign(self, sign: int) -> _Node:
        """The next unit has this sign everywhere."""
        return replace(self, signs=self.signs + bytes([sign]))


class _Tree:
    def __init__(self, network: Network, domain: Box, rows: Sequence[HalfSpace], solve: Solve | None,
                 deadline: float | None) -> None:
        self.network, self.told = network, Patterns([])
        self._chart = chart_of(domain, rows)
        self._maps = ExactMaps(network.layers, self._chart)
        self._others = ExactMaps(network.layers, self._chart)  # of proposals: the maps of one path are remembered
        model = Milp(network, domain, solve or no_solver, tighten=False)  # bounds that are proved decide signs
        self._bounds = model.encoding.bounds
        self.units = [(k, i) for k, layer in enumerate(network.layers) for i in range(layer.units)]
        self._first = np.cumsum([0, *(layer.units for layer in network.layers)]).tolist()
        flat = np.cumsum([0, *(layer.units for layer in model.encoding.network.layers)])
        binaries = [model.encoding.binaries.get(int(flat[k]) + i) for k, i in self.units]
        self._ask = _relaxation(model, rows, binaries) if solve is None else _program(model, rows, binaries, solve,
                                                                                      deadline)
        self._known: dict[tuple[Signs, int, int], list[tuple[int, int]]] = {}

    def root(self) -> _Node:
        """All patterns."""
        return _Node(b"", tuple(tuple(-v for v in row) for row in self._chart.rows), (), None)

    def parts(self, node: _Node) -> list[_Node]:
        """The node split by the next unit: its parts that have cells."""
        number = len(node.signs)
        row = self._row(self._maps, node.signs)
        constant = self._constant(number, row)
        if constant is not None:
            return [node.with_sign(constant)]
        assert row is not None
        found = []
        for sign in (0, 1):
            part = _Node(node.signs + bytes([sign]), (*node.rows, row if sign else tuple(-v for v in row)),
                         (*node.owners, number), None)
            if node.pattern is not None and node.pattern[number] == sign:
                found.append(replace(part, pattern=node.pattern))
            elif (looked := self._look(part)) is not None:
                found.append(looked)
        return found

    def _row(self, maps: ExactMaps, signs: Signs) -> Row | None:
        """The next unit's pre-activation up to a positive factor; None when it has no phase."""
        layer, unit = self.units[len(signs)]
        return maps.row(layer, unit, signs) if self.network.layers[layer].has_phase[unit] else None

    def _constant(self, number: int, row: Row | None) -> int | None:
        """The unit's sign if it is the same in all cells."""
        if row is None:
            return 1
        if not any(row[:-1]):
            return int(row[-1] > 0)
        layer, unit = self.units[number]
        low, high = self._bounds.lower[layer][unit], self._bounds.upper[layer][unit]
        return 1 if low >= 0 else 0 if high <= 0 else None

    def _look(self, part: _Node) -> _Node | None:
        """The part with a pattern in it, if the solver has one; None when it is proved to have no cell."""
        number = len(part.signs) - 1
        layer, _ = self.units[number]
        start = self._first[layer]
        # refutations hold where the rows of their units are the same: after the same signs of the layers before
        known = self._known.setdefault((part.signs[:start], number, part.signs[-1]), [])
        own = int.from_bytes(part.signs[start:], "little")
        if any((own ^ signs) & mask == 0 for mask, signs in known):
            self.told.again += 1
            return None
        proposed = self._ask(part.signs)
        pattern = None if proposed is None else self._confirmed(proposed)
        if pattern is not None and pattern.startswith(part.signs):
            return replace(part, pattern=pattern)
        self.told.dropped += proposed is not None
        table = Rows.from_integers([(*(-v for v in row[:-1]), row[-1]) for row in part.rows], self._chart.dimension)
        answer = strict_feasibility(table, (True,) * table.count, self._chart.box)
        if not isinstance(answer, Refutation):
            self.told.missed += proposed is None
            return part
        self.told.refuted += 1
        used = [owner - start for owner, m in zip(part.owners, answer.multipliers[-len(part.owners):], strict=True)
                if m > 0 and owner >= start]
        mask = sum(255 << 8 * i for i in used)
        known.append((mask, own & mask))
        return None

    def _confirmed(self, proposed: Signs) -> Signs | None:
        """The pattern of the full-dimensional cell that this one stands for, or None when it has none."""
        rows, signs = list(self.root().rows), b""
        for sign in proposed:
            row = self._row(self._others, signs)
            constant = 1 if row is None else int(row[-1] > 0) if not any(row[:-1]) else None
            if constant is None:
                assert row is not None
                rows.append(row if sign else tuple(-v for v in row))
            signs += bytes([sign if constant is None else constant])
        return None if interior_point(tuple(rows), self._chart.box) is None else signs


_Ask = Callable[[Signs], Signs | None]
"""A pattern that begins with the signs, as a proposal, or None."""


def _relaxation(model: Milp, rows: Sequence[HalfSpace], binaries: Sequence[int | None]) -> _Ask:
    """Ask linear programs, each from the basis of the last."""
    program = _with_margin(model, rows)
    lp = float_lp(program)
    warm = WarmLp(lp)

    def ask(signs: Signs) -> Signs | None:
        lower, upper = lp.column_lower.copy(), lp.column_upper.copy()
        for binary, sign in zip(binaries, signs, strict=False):
            if binary is not None:
                lower[binary] = upper[binary] = sign
        warm.set_column_bounds(lower, upper)
        found = warm.solve()
        if found.status is not FloatStatus.OPTIMAL or not found.objective < -MARGIN:
            return None
        near = model.pattern_near(found.primal)
        return None if near is None else signs + np.concatenate(near).astype(np.uint8).tobytes()[len(signs):]

    return ask


def _program(model: Milp, rows: Sequence[HalfSpace], binaries: Sequence[int | None], solve: Solve,
             deadline: float | None) -> _Ask:
    """Ask a mixed-integer solver."""
    program = _with_margin(model, rows)

    def ask(signs: Signs) -> Signs | None:
        variables = list(program.variables)
        for binary, sign in zip(binaries, signs, strict=False):
            if binary is not None:
                variables[binary] = replace(variables[binary], lower=float(sign), upper=float(sign))
        solution = solve(replace(program, variables=tuple(variables)),
                         None if deadline is None else max(0.0, deadline - time.time()))
        if not model.fits(solution, program) or solution.point is None or not solution.objective < -MARGIN:
            return None
        own = model.own(model.encoding.pattern(solution.point))
        return signs + np.concatenate(own).astype(np.uint8).tobytes()[len(signs):]

    return ask


def _by_layers(network: Network, signs: Signs) -> Pattern:
    result, first = [], 0
    for layer in network.layers:
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
