r"""Which units can change their sign in a domain: a rigorous count, and the local bound that follows from it.

*First layer.*  ``w . x + b`` takes both signs in the open ball around c exactly if ``|w . c + b|`` is less than the
radius times the dual norm of w; squares are compared, in rationals.  In a box the same holds for its extreme values.

*Deeper layers.*  Linear bounds of the pre-activations, propagated backwards (:mod:`verifier.kernel.bounds`), hold on
the box around the domain.  Over a ball their minimum is ``constant + a . c - r |a|`` with the dual norm, which is far
better than over the box.  A unit whose bounds have one sign is stable.  On an unbounded domain a unit is taken to
change its sign unless its row is zero.

Then :mod:`verifier.engines.region_bounds` turns the counts into a bound of the number of activation regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verifier.engines.region_bounds import LayerUnits, cells_of, product_upper, refined_upper
from verifier.geometry.ball import Ball
from verifier.geometry.chart import Chart
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.filtered_network import Bytes, Indices
from verifier.geometry.flats import cells_by_flats, meets_interior, meets_open_unit_ball
from verifier.kernel.bounds import FloatBounds, LinearFunctions, Slopes, default_slopes
from verifier.kernel.branches import Branches
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, dot, nearest_float

BOTH, ACTIVE, INACTIVE = 2, 1, 0
Signs = tuple[int, ...]


FEW_CELLS = 60  # of the first layer, up to which they are counted by its flats


@dataclass(frozen=True)
class LocalBound:
    """``product`` and ``refined`` bound the number of activation regions from above; ``layers`` are the units they
    count, ``rank`` the dimension of the domain, ``first`` the exact number of cells of the first layer if known."""

    rank: int
    layers: tuple[LayerUnits, ...]
    first: int | None = None

    @property
    def product(self) -> int:
        """The product of binomial sums over the layers."""
        return product_upper(self.rank, self.layers, self.first)

    @property
    def refined(self) -> int:
        """The refinement, which knows that inactive ReLUs leave fewer dimensions; never above the product."""
        return refined_upper(self.rank, self.layers, self.first)


def local_bound(network: Network, box: Box, ball: Ball | None, chart: Chart) -> LocalBound:
    """The bound for the cells that meet the box or, when it is given, the ball in it; ``chart`` is that of the
    domain."""
    signs = unit_signs(network, box, ball)
    layers = tuple(counted(layer, found) for layer, found in zip(network.layers, signs, strict=True))
    few = 1 < cells_of(layers[0].cutting, chart.dimension) <= FEW_CELLS
    return LocalBound(chart.dimension, layers, _first_cells(network, signs[0], ball, chart) if few else None)


def _first_cells(network: Network, signs: Signs, ball: Ball | None, chart: Chart) -> int:
    maps = ExactMaps(network.layers[:1], chart)
    rows = [maps.row(0, unit, b"") for unit, sign in enumerate(signs) if sign == BOTH]
    round_ = ball is not None and ball.norm == "2"
    return cells_by_flats(rows, meets_open_unit_ball if round_ else meets_interior(chart.rows))


def counted(layer: Layer, signs: Sequence[int]) -> LayerUnits:
    """The units of a layer by what they can do."""
    return LayerUnits(*units_that_change(layer, np.array([signs], dtype=np.uint8))[0].tolist())


def unit_signs(network: Network, box: Box, ball: Ball | None = None) -> tuple[Signs, ...]:
    """For every layer and unit ACTIVE, INACTIVE (never positive) or BOTH, proved.  Units without a phase are ACTIVE."""
    return SignFinder(network, box, ball).signs


class SignFinder:
    """The signs of units on a domain, and on parts of it; ``signs`` are those of :func:`unit_signs`."""

    def __init__(self, network: Network, box: Box, ball: Ball | None = None) -> None:
        self._network, self._ball = network, ball
        found = [_first_layer(network.layers[0], box, ball)]
        found += [_without_bounds(layer) for layer in network.layers[1:]]
        self._bounds = FloatBounds(Query(network, box, ((),))) if box.is_bounded else None
        if self._bounds is not None:
            self._root = Branches.root(self._bounds.query)
            bounded = self._propagate(self._root, calibrate=True)
            found = [tuple(b if a == BOTH else a for a, b in zip(first, second[0].tolist(), strict=True))
                     for first, second in zip(found, bounded, strict=True)]
        self.signs: tuple[Signs, ...] = tuple(found)

    def within(self, known: Bytes, around: Sequence[tuple[FloatArray, FloatArray] | None]) -> list[Bytes]:
        """For each of some parts the signs of the first layers: a (parts, units) array for each layer.

        In a part the units have the signs ``known`` (parts, units of these layers), where they are not BOTH; it lies in
        the box ``around`` it, if that is given.
        """
        ends = np.cumsum([0, *(layer.units for layer in self._network.layers)]).tolist()
        layers = [k for k in range(len(ends) - 1) if ends[k + 1] <= known.shape[1]]
        own = [known[:, ends[k]:ends[k + 1]] for k in layers]
        found = [np.where(part == BOTH, np.array(self.signs[k], dtype=np.uint8), part)
                 for k, part in zip(layers, own, strict=True)]
        if self._bounds is None:
            return found
        parts = self._root.take(np.zeros(len(known), dtype=np.int64))
        for b, box in enumerate(around):
            if box is not None:
                parts.lo[b], parts.hi[b] = np.fmax(parts.lo[b], box[0]), np.fmin(parts.hi[b], box[1])
        for k, signs in zip(layers, found, strict=True):
            phase = self._network.layers[k].has_phase
            parts.lower[k][(signs == ACTIVE) & phase] = np.fmax(parts.lower[k], 0.0)[(signs == ACTIVE) & phase]
            parts.upper[k][(signs == INACTIVE) & phase] = np.fmin(parts.upper[k], 0.0)[(signs == INACTIVE) & phase]
        bounded = self._propagate(parts, calibrate=False, layers=len(layers))
        return [np.where(a == BOTH, b, a) for a, b in zip(found, bounded, strict=True)]

    def _propagate(self, branches: Branches, *, calibrate: bool, layers: int | None = None) -> list[Bytes]:
        """Layer by layer from bounds that hold on the domain, or on its branches; these are narrowed."""
        bounds = self._bounds
        assert bounds is not None
        slopes: list[Slopes] = []
        found = []
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for number, layer in enumerate(self._network.layers[:layers]):
                branch, unit = branches.undecided(number)
                lower, upper = branches.lower[number], branches.upper[number]
                if len(unit):
                    functions = bounds.unit_bounds(branches, number, np.concatenate([branch, branch]),
                                                   np.concatenate([unit, unit]), np.repeat([1.0, -1.0], len(unit)),
                                                   slopes)
                    least = functions.lower
                    if self._ball is not None:
                        least = np.fmax(least, _over_ball(functions, self._ball))
                    lower[branch, unit] = np.fmax(lower[branch, unit], least[:len(unit)])
                    upper[branch, unit] = np.fmin(upper[branch, unit], -least[len(unit):])
                if calibrate:
                    bounds.calibrate(branches)
                slopes.append(Slopes(*default_slopes(lower, upper, bounds.slope[number])))
                found.append(np.where(~layer.has_phase | (lower >= 0), ACTIVE,
                                      np.where(upper <= 0, INACTIVE, BOTH)).astype(np.uint8))
        return found


def units_that_change(layer: Layer, signs: Bytes) -> Indices:
    """``relu``, ``other`` and ``kept`` of :class:`LayerUnits` for each row of ``signs`` (parts, units)."""
    slope = np.array([s for (s,) in layer.slope.rows()], dtype=object)
    drops, linear = slope == 0, slope == 1
    both = (signs == BOTH) & ~linear
    kept = linear | (signs == ACTIVE) | ((signs == INACTIVE) & ~drops)
    return np.stack([(both & drops).sum(axis=1), (both & ~drops).sum(axis=1), kept.sum(axis=1)], axis=1)


def _first_layer(layer: Layer, box: Box, ball: Ball | None) -> Signs:
    signs = []
    for weight, (bias,), (slope,) in zip(layer.weight.rows(), layer.bias.rows(), layer.slope.rows(), strict=True):
        if slope == 1:
            signs.append(ACTIVE)
        elif ball is not None:
            height = dot(weight, ball.centre) + bias
            both = height * height < ball.reach_squared(weight)
            signs.append(BOTH if both else ACTIVE if height > 0 else INACTIVE)
        else:
            low, high = box.minimum(weight), box.minimum([-w for w in weight])
            negative, positive = low is None or low + bias < 0, high is None or bias - high > 0
            signs.append(BOTH if negative and positive else ACTIVE if positive else INACTIVE)
    return tuple(signs)


def _without_bounds(layer: Layer) -> Signs:
    signs = []
    for weight, (bias,), phase in zip(layer.weight.rows(), layer.bias.rows(), layer.has_phase, strict=True):
        signs.append(BOTH if phase and any(weight) else ACTIVE if bias > 0 or not phase else INACTIVE)
    return tuple(signs)


def _over_ball(functions: LinearFunctions, ball: Ball) -> FloatArray:
    """The minimum of linear functions over a ball, rounded down: 64 (n + 4) units in the last place of all magnitudes
    are more than the sums, the norm and the roundings of centre and radius can lose."""
    centre = np.array([nearest_float(v) for v in ball.centre])
    radius = nearest_float(ball.radius)
    linear = functions.linear
    sizes = np.abs(linear)
    dual = {"1": sizes.max(axis=1), "2": np.sqrt((linear * linear).sum(axis=1)), "inf": sizes.sum(axis=1)}[ball.norm]
    magnitude = np.abs(functions.constant) + sizes @ np.abs(centre) + radius * sizes.sum(axis=1) + functions.error
    slack = 64 * (len(centre) + 4) * 2.0**-53 * magnitude + 2.0**-400
    least = functions.constant + linear @ centre - radius * dual - functions.error - slack
    return np.where(np.isfinite(magnitude), least, -np.inf)


