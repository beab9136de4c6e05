r"""The mixed-integer model of a network: one set of linear constraints, whose solutions are the points of its graph.

A unit ``y = act(z)`` with negative-side slope s and proved bounds ``l <= z <= u``.  If its sign is decided, or s = 1,
it is one equation.  If ``l < 0 < u`` a binary a says on which side it is, and four rows say the rest (for s < 1;
reversed for s > 1, where act is concave):

    y >= z,    y >= s z,    y <= s z + (1 - s) u a,    y <= z - (1 - s) l (1 - a).

With a = 1 the first and the last give ``y = z``, and the second ``z >= 0``; with a = 0 they give ``y = s z`` and
``z <= 0``.  What is left over says ``z <= u`` and ``z >= l``, which is true.  At z = 0 both values of a are allowed.
(Tjeng, Xiao, Tedrake 2019 for s = 0; its relaxation is the triangle.)  Where l or u is negligible, as it is when
a unit that touches 0 was bounded with rounding, the sign counts as decided: coefficients of 1e-14 or 1e-61 are below
every tolerance, and with them CBC claimed optima that are none.

The bounds are those of the kernel's rigorous propagation (:class:`verifier.kernel.bounds.FloatBounds`), computed by
the functions that prove stated bounds in certificates.  :func:`tightened` narrows them by linear programs; that costs
two programs a unit, and pays where the tree of the solver is large.

*Pairs of networks* are networks (:func:`verifier.kernel.network.pair`).  *Unbounded domains* have no bounds l, u; they
are made bounded by *homogenisation*: multiply every bias by a new input s.  All layers are then positively homogeneous,
so ``N^(X, s) = s N(X / s)`` for s > 0, and every ray of points (X, s), s > 0, meets the box ``|X| <= 1, s <= 1``.  So x
with ``a . x + g . N(x) <= b`` exists exactly if (X, s) exists in that box with s > 0 and ``a . X + g . Y <= b s``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from verifier.kernel.bounds import FloatBounds, Slopes, default_slopes
from verifier.kernel.branches import Branches, Mask
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, Matrix
from verifier.solvers.highs import FloatLp, FloatStatus, SolverError, WarmLp
from verifier.solvers.mixed_integer import Builder, MixedProgram

ZERO, ONE = Fraction(0), Fraction(1)
NEGLIGIBLE = 2.0**-40  # of 1 and of the unit's larger bound: closer to 0 a bound is rounding, and no solver sees it
WIDER = 1e-7  # relative widening of a bound by a float linear program: only what is proposed depends on it


@dataclass(frozen=True)
class UnitBounds:
    """``lower[k] <= z <= upper[k]`` for the pre-activations of layer k on the whole domain, shape (units,); units
    without a phase have zeros."""

    lower: tuple[FloatArray, ...]
    upper: tuple[FloatArray, ...]

    @property
    def finite(self) -> bool:
        """Whether all of them are."""
        return all(bool(np.isfinite(side).all()) for side in (*self.lower, *self.upper))

    @property
    def undecided(self) -> int:
        """How many units may have either sign."""
        return sum(int(((low < 0) & (high > 0)).sum()) for low, high in zip(self.lower, self.upper, strict=True))


@dataclass(frozen=True)
class Encoding:
    """A network over its domain as rows of ``program``, which has no objective yet.

    ``inputs`` are the numbers of the inputs' variables, ``units[k][i]`` those of the outputs of units (``outputs``: of
    the last layer), ``z[k][i]`` the pre-activation of a unit as ``(coefficients, constant)``, ``binaries`` maps flat
    unit numbers to the variables of undecided units.
    """

    network: Network
    bounds: UnitBounds
    program: MixedProgram
    inputs: tuple[int, ...]
    units: tuple[tuple[int, ...], ...]
    z: tuple[tuple[tuple[dict[int, float], float], ...], ...]
    binaries: dict[int, int]

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of the outputs' variables."""
        return self.units[-1] if self.units else self.inputs

    def point(self, x: Sequence[Fraction]) -> tuple[float, ...]:
        """The values of all variables of the program at the input ``x``, about."""
        values = [0.0] * len(self.program.variables)
        for variable, v in zip(self.inputs, x, strict=True):
            values[variable] = float(v)
        first = 0
        for layer, own, units in zip(self.network.layers, self.z, self.units, strict=True):
            for i, (variable, (terms, constant), (slope,)) in enumerate(zip(units, own, layer.slope.rows(),
                                                                            strict=True)):
                z = constant + sum(c * values[v] for v, c in terms.items())
                values[variable] = z if z >= 0 else float(slope) * z
                if first + i in self.binaries:
                    values[self.binaries[first + i]] = float(z >= 0)
            first += layer.units
        return tuple(values)

    def expression(self, coefficients: Sequence[Fraction]) -> dict[int, float]:
        """``coefficients . (x, N(x))`` over the variables."""
        return {v: float(c) for v, c in zip((*self.inputs, *self.outputs), coefficients, strict=True) if c}

    def pattern(self, point: FloatArray) -> list[Mask]:
        """For each layer which units a solution has active (those without a phase are)."""
        first, result = 0, []
        for layer, low, high in zip(self.network.layers, self.bounds.lower, self.bounds.upper, strict=True):
            active = (low >= 0) | (high > 0) | ~layer.has_phase
            for i in range(layer.units):
                if first + i in self.binaries:
                    active[i] = point[self.binaries[first + i]] > 0.5
            result.append(active)
            first += layer.units
        return result


def propagated(network: Network, domain: Box) -> UnitBounds:
    """Rigorous bounds on the units over the domain, by the kernel."""
    query = Query(network, domain, ((),))
    bounds, root = FloatBounds(query), Branches.root(query)
    slopes: list[Slopes] = []
    for k in range(len(network.layers)):
        branch, unit = root.undecided(k)
        count = len(unit)
        if count:
            found = bounds.unit_bounds(root, k, np.concatenate([branch, branch]), np.concatenate([unit, unit]),
                                       np.repeat([1.0, -1.0], count), slopes).lower
            root.lower[k][0, unit] = np.where(np.isnan(found[:count]), -np.inf, found[:count])
            root.upper[k][0, unit] = np.where(np.isnan(found[count:]), np.inf, -found[count:])
        bounds.calibrate(root)
        slopes.append(Slopes(*default_slopes(root.lower[k], root.upper[k], bounds.slope[k])))
    return UnitBounds(tuple(a[0] for a in root.lower), tuple(a[0] for a in root.upper))


def encode(network: Network, domain: Box, bounds: UnitBounds, name: str = "network") -> Encoding:
    """The model of a network on a bounded domain; ``bounds`` are finite and true there.

    Variables are ``X_i``, ``Y_j``, and for unit i of layer k (as numbered by ``info``) its output ``unit_k_i`` and its
    binary ``active_k_i``.
    """
    builder = Builder(name)
    lo, hi = domain.outward_floats()
    inputs = tuple(builder.variable(f"X_{i}", float(lo[i]), float(hi[i])) for i in range(network.inputs))
    previous, binaries, all_units, all_z = inputs, {}, [], []
    first = 0
    for k, layer in enumerate(network.layers):
        weight, bias, slopes = layer.weight.approximate(), layer.bias.approximate()[:, 0], layer.slopes
        last = k == len(network.layers) - 1
        z = tuple(({previous[j]: float(row[j]) for j in np.nonzero(row)[0]}, float(b))
                  for row, b in zip(weight, bias, strict=True))
        outputs = []
        for i, (expression, constant) in enumerate(z):
            low, high, slope = float(bounds.lower[k][i]), float(bounds.upper[k][i]), float(slopes[i])
            at = f"{k + 1}_{i}"
            least = NEGLIGIBLE * max(1.0, -low, high)
            factor = 1.0 if not layer.has_phase[i] or low >= -least else slope if high <= least else None
            y = builder.variable(f"Y_{i}" if last else f"unit_{at}")
            outputs.append(y)
            if factor is not None:
                row = {y: 1.0, **{v: -factor * c for v, c in expression.items()}}
                builder.row(f"value_{at}", row, factor * constant, factor * constant)
                continue
            active = builder.variable(f"active_{at}", 0.0, 1.0, integer=True)
            binaries[first + i] = active
            sign = -1.0 if slope > 1 else 1.0
            for what, multiple, big, offset in (("above_z", 1.0, 0.0, 0.0), ("above_sz", slope, 0.0, 0.0),
                                                ("below_sz", slope, (1 - slope) * high, 0.0),
                                                ("below_z", 1.0, (1 - slope) * low, -(1 - slope) * low)):
                # sign y >= sign multiple z, or sign y <= sign (multiple z + big a + offset)
                row = {y: sign, active: -sign * big, **{v: -sign * multiple * c for v, c in expression.items()}}
                side = sign * (multiple * constant + offset)
                if what.startswith("above"):
                    builder.row(f"{what}_{at}", row, lower=side)
                else:
                    builder.row(f"{what}_{at}", row, upper=side)
        all_z.append(z)
        all_units.append(tuple(outputs))
        previous, first = tuple(outputs), first + layer.units
    return Encoding(network, bounds, builder.program({}), inputs, tuple(all_units), tuple(all_z),
                    binaries)


def tightened(network: Network, domain: Box, bounds: UnitBounds) -> UnitBounds:
    """The bounds narrowed, layer by layer, by linear programs over the relaxed model of the layers before."""
    lower, upper = [np.array(a) for a in bounds.lower], [np.array(a) for a in bounds.upper]
    for k in range(1, len(network.layers)):
        undecided = np.nonzero((lower[k] < 0) & (upper[k] > 0))[0]
        if not len(undecided):
            continue
        prefix = encode(Network(network.layers[:k]), domain, UnitBounds(tuple(lower[:k]), tuple(upper[:k])))
        layer = network.layers[k]
        weight, bias = layer.weight.approximate(), layer.bias.approximate()[:, 0]
        try:
            model = WarmLp(float_lp(prefix.program))
            for i in undecided:
                for sign, side in ((1.0, lower[k]), (-1.0, upper[k])):
                    cost = np.zeros(len(prefix.program.variables))
                    cost[list(prefix.outputs)] = sign * weight[i]
                    model.set_costs(cost)
                    found = model.solve()
                    if found.status is FloatStatus.OPTIMAL and np.isfinite(found.objective):
                        least = found.objective - WIDER * (1 + abs(found.objective)) + sign * bias[i]
                        side[i] = sign * max(sign * side[i], least)
        except SolverError:
            break
    return UnitBounds(tuple(lower), tuple(upper))


def float_lp(program: MixedProgram) -> FloatLp:
    """The relaxation of a program, dense."""
    matrix, cost = program.dense()
    sides = np.array([(row.lower, row.upper) for row in program.rows]).reshape(-1, 2)
    ends = np.array([(v.lower, v.upper) for v in program.variables]).reshape(-1, 2)
    return FloatLp(cost, matrix, sides[:, 0].copy(), sides[:, 1].copy(), ends[:, 0].copy(), ends[:, 1].copy())


def homogenised(network: Network) -> Network:
    """``(X, s) -> (N^(X, s), s)``, with ``N^(X, s) = s N(X / s)`` for s > 0: biases become weights of s."""
    layers = []
    for layer in network.layers:
        rows = [(*row, b) for row, (b,) in zip(layer.weight.rows(), layer.bias.rows(), strict=True)]
        rows.append((*(ZERO for _ in range(layer.inputs)), ONE))
        layers.append(Layer(Matrix.from_rationals(rows), Matrix.zeros(layer.units + 1, 1),
                            Matrix.from_rationals([*layer.slope.rows(), (ONE,)])))
    return Network(tuple(layers))


def homogenised_rows(network: Network, domain: Box, rows: Sequence[HalfSpace]) -> tuple[HalfSpace, ...]:
    """``rows`` and the bounds of the domain as half-spaces over ``(X, s, Y, s)``."""
    n, m = network.inputs, network.outputs
    result = [HalfSpace((*h.normal[:n], -h.offset, *h.normal[n:], ZERO), ZERO, h.strict) for h in rows]
    for i, (low, high) in enumerate(zip(domain.lower, domain.upper, strict=True)):
        for sign, bound in ((-1, low), (1, high)):
            if bound is not None:
                normal = [*(Fraction(sign * (j == i)) for j in range(n)), -sign * bound, *([ZERO] * (m + 1))]
                result.append(HalfSpace(tuple(normal), ZERO))
    return tuple(result)


def unit_box(inputs: int) -> Box:
    """Where (X, s) live: ``|X_i| <= 1``, ``0 <= s <= 1``."""
    return Box((*(-ONE for _ in range(inputs)), ZERO), (ONE,) * (inputs + 1))
