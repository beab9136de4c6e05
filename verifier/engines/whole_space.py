r"""Unbounded domains as bounded ones of the same dimension.

Theory.  Let K be a polyhedron of dimension k in R^n, and ``cone = {(x, t) : t >= 0, a . x <= b t for its rows}``, the
closure of the points ``t (x, 1)``, ``x`` in K (and of its directions at infinity).  The *homogenised* network carries t
along as a linear unit and multiplies every bias by it: on ``(x, t)`` with ``t > 0`` its pre-activations are t times
those of the network at ``x / t``.  So the cells of the network over K are the slices at ``t = 1`` of the
(k + 1)-dimensional cells of the homogenised network over the cone, with the same patterns, zero rows included.

The surface of the cube ``max(|x_1|, ..., |x_n|, t) = 1`` meets the cone in its parts on ``t = 1`` and on ``x_i = 1``
and ``x_i = -1``: bounded polytopes.  A (k + 1)-dimensional cone meets the surface in a set of dimension k, hence one of
the parts.  Conversely a part of dimension k lies in a hyperplane that avoids the origin, and the cells of the
homogenised network over it span (k + 1)-dimensional cones, of which only a smaller part has ``t = 0``.  Therefore:

    *The patterns over K are the patterns over the parts of dimension k, each taken once.*

A cell is the union of what it has in the parts, as a cone: each of its facets with ``t > 0`` shows up as a facet in
one of them, and an interior point ``(x, t)`` in any part gives the interior point ``x / t``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from verifier.engines.propagate import Region
from verifier.geometry.chart import EmptyDomainError, chart_of
from verifier.geometry.filtered_network import Bytes
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Matrix, Point


def homogenised(network: Network) -> Network:
    """``(x, t) -> (t N(x / t), t)`` for ``t > 0``: the last unit of every layer is t."""
    layers = []
    for layer in network.layers:
        rows = [(*weight, bias) for weight, (bias,) in zip(layer.weight.rows(), layer.bias.rows(), strict=True)]
        rows.append((*(Fraction(0) for _ in range(layer.inputs)), Fraction(1)))
        slopes = [s for (s,) in layer.slope.rows()] + [Fraction(1)]
        layers.append(Layer(Matrix.from_rationals(rows, layer.inputs + 1), Matrix.zeros(layer.units + 1, 1),
                            Matrix.column(slopes)))
    return Network(tuple(layers))


def bounded_parts(network: Network, box: Box, rows: Sequence[HalfSpace], dimension: int) -> Iterator[Region]:
    """The parts of the theory that have the dimension of the domain, as bounded regions of the homogenised network."""
    n = network.inputs
    one, zero = Fraction(1), Fraction(0)
    cone = [HalfSpace((*row.normal, -row.offset), zero) for row in rows]
    for i, (lo, hi) in enumerate(zip(box.lower, box.upper, strict=True)):
        unit = [Fraction(i == j) for j in range(n)]
        cone += [HalfSpace((*(sign * v for v in unit), -sign * bound), zero)
                 for sign, bound in ((-1, lo), (1, hi)) if bound is not None]
    larger = homogenised(network)
    below: Point = (*(-one for _ in range(n)), zero)
    above: Point = (one,) * (n + 1)
    for i, value in [(n, one), *((i, sign) for i in range(n) for sign in (-one, one))]:
        side = Box((*below[:i], value, *below[i + 1:]), (*above[:i], value, *above[i + 1:]))
        try:
            if chart_of(side, cone).dimension == dimension:
                yield Region(larger, side, tuple(cone))
        except EmptyDomainError:
            continue


def without_last_units(signs: Bytes, layers: Sequence[Layer]) -> Bytes:
    """Signs (cells, units) of the homogenised layers, without the unit that carries t."""
    last = np.cumsum([layer.units for layer in layers], dtype=np.int64) - 1
    return np.delete(signs, last, axis=1)
