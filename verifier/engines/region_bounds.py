r"""How many regions a network can have, by its shape alone: the closed-form bounds of the literature.

Notation: ``n_0`` inputs, widths ``n_1, ..., n_L`` of the layers with phases, ``N`` their sum, C(n, j) binomials.

**Upper bounds.**  m hyperplanes cut a d-dimensional set into at most ``sum_{j <= d} C(m, j)`` cells.  On a cell of the
first layers the next layer is affine of some rank r, so its units cut it like hyperplanes of R^r.  *Product* (Montúfar
2017): ``prod_l sum_{j <= m_l} C(n_l, j)``, ``m_l = min(n_0, ..., n_{l-1})``.  *Refinement* (Serra, Tjandraatmadja and
Ramalingam 2018): where i ReLUs are inactive at most ``n_l - i`` coordinates are left, and at most C(n_l, i) cells have
i inactive ones.  The number is greatest when cells have as few inactive units as can be, so, with R_l(d) the bound for
the layers from l on and rank d,

    R_l(d)  =  sum over i of  N_i R_{l+1}(min(d, units left)),      N_i filled up from i = 0 until  sum N_i = cells.

**Other slopes.**  *Only a unit with slope 0 loses a coordinate when it is inactive.*  Two absolute values followed by
ten ReLUs have 4 * 56 = 224 cells, where the formula for ReLUs says 79.  So a layer is counted in three parts: units of
slope 0 that may have either sign, others that may, and units whose coordinate always stays (linear units, stable units
that are active or have slope other than 0).  Let the last two be k and a.  With i of the first inactive, ``a + k + (m -
i)`` coordinates are left; at most ``C(m, i) min(2^k, sum_{j <= d} C(k, j))`` cells have i inactive.  The same formula
bounds the cells in a part of the input space, when the units counted are those that change their sign there.

**Lower bounds** say what some network of the shape reaches, nothing about a given one.

All functions count activation regions, hence bound linear regions and affine pieces from above too.  The numbers are
exact integers, of any length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from verifier.kernel.network import Network


@dataclass(frozen=True)
class LayerUnits:
    """``relu`` units of slope 0 with either sign, ``other`` units of another slope with either sign, and ``kept`` units
    whose coordinate always stays."""

    relu: int
    other: int = 0
    kept: int = 0

    @property
    def cutting(self) -> int:
        """How many hyperplanes the layer has."""
        return self.relu + self.other

    @property
    def width(self) -> int:
        """How many coordinates can be left."""
        return self.relu + self.other + self.kept


def shape_of(network: Network) -> tuple[LayerUnits, ...]:
    """The layers of a network, with every unit that has a phase counted as one that may have either sign."""
    found = []
    for layer in network.layers:
        slopes = [s for (s,) in layer.slope.rows()]
        relu, kept = sum(s == 0 for s in slopes), sum(s == 1 for s in slopes)
        found.append(LayerUnits(relu, len(slopes) - relu - kept, kept))
    return tuple(found)


def relu_layers(widths: Sequence[int]) -> tuple[LayerUnits, ...]:
    """Layers of ReLUs alone."""
    return tuple(LayerUnits(n) for n in widths)


@cache
def cells_of(hyperplanes: int, dimension: int) -> int:
    """The most cells that hyperplanes cut a convex set into: ``sum_{j <= dimension} C(hyperplanes, j)``.  Schläfli."""
    return sum(math.comb(hyperplanes, j) for j in range(min(dimension, hyperplanes) + 1))


def bounded_cells(hyperplanes: int, dimension: int) -> int:
    """The bounded cells of hyperplanes in general position: ``C(m - 1, n)``.  Zaslavsky 1975."""
    return math.comb(hyperplanes - 1, dimension) if hyperplanes else 0


def central_cells(hyperplanes: int, dimension: int) -> int:
    """The cells of hyperplanes through 0 in general position: ``2 sum_{i < n} C(m - 1, i)``.  Schläfli, Cover 1965."""
    if not hyperplanes:
        return 1
    return 2 * sum(math.comb(hyperplanes - 1, i) for i in range(dimension))


# --- upper bounds ----------------------------------------------------------------------------------------------------


def trivial_upper(layers: Sequence[LayerUnits]) -> int:
    """``2^N``.  Every network (Montúfar et al. 2014, among others)."""
    return int(2 ** sum(layer.cutting for layer in layers))


def product_upper(rank: int, layers: Sequence[LayerUnits], first: int | None = None) -> int:
    """The product of Montúfar 2017, for any slopes.  ``first``: the number of cells of the first layer, or a bound of
    it, when one is known."""
    total = 1
    for number, layer in enumerate(layers):
        total *= first if number == 0 and first is not None else cells_of(layer.cutting, rank)
        rank = min(rank, layer.width)
    return total


def refined_upper(rank: int, layers: Sequence[LayerUnits], first: int | None = None) -> int:
    """The refinement of Serra, Tjandraatmadja and Ramalingam 2018, for any slopes; never above
    :func:`product_upper`.  ``first`` as there."""
    later = [1] * (rank + 1)
    for number in range(len(layers) - 1, -1, -1):
        layer = layers[number]
        now = []
        for d in range(rank + 1):
            left = first if number == 0 and first is not None else cells_of(layer.cutting, d)
            total, signs = 0, min(2**layer.other, cells_of(layer.other, d))
            for inactive in range(layer.relu + 1):
                count = min(left, math.comb(layer.relu, inactive) * signs)
                total += count * later[min(d, layer.width - inactive)]
                left -= count
                if not left:
                    break
            now.append(total)
        later = now
    return later[rank]


def montufar_2017_upper(inputs: int, widths: Sequence[int]) -> int:
    """``prod_l sum_{j <= m_l} C(n_l, j)``, ``m_l = min(n_0, ..., n_{l-1})``.  ReLUs.

    Montúfar, *Notes on the number of linear regions of deep neural networks* (2017).
    """
    return product_upper(inputs, relu_layers(widths))


def serra_2018_upper(inputs: int, widths: Sequence[int]) -> int:
    """``sum over J of prod_l C(n_l, j_l)``, ``0 <= j_l <= min(n_0, n_1 - j_1, ..., n_{l-1} - j_{l-1}, n_l)``.  ReLUs.

    Serra, Tjandraatmadja, Ramalingam, *Bounding and counting linear regions of deep neural networks* (2018).
    """
    return refined_upper(inputs, relu_layers(widths))


def hinz_2021_upper(inputs: int, widths: Sequence[int],
                    column: Callable[[int, int], Sequence[int]] | None = None) -> int:
    """The 1-norm of ``B_{n_L} M ... M B_{n_1} e_{n_0}``.  ReLUs.

    Column d of ``B_n`` is a histogram, by the number of active units, that dominates those of all arrangements of n
    ReLUs in d dimensions; M moves what is above the next bound on the dimension down to it.  ``column(n, d)`` has n + 1
    entries; the default, ``C(n, j)`` for ``j >= n - d``, gives the bound of Serra et al.

    Hinz, van de Geer, *A framework for the construction of upper bounds on the number of affine linear regions of ReLU
    feed-forward neural networks* (2019); Hinz (2021).
    """
    histogram = column or _binomials
    vector = {inputs: 1}
    for n in widths:
        found: dict[int, int] = {}
        for d, weight in vector.items():
            for active, count in enumerate(histogram(n, d)):
                rank = min(d, active)
                found[rank] = found.get(rank, 0) + weight * count
        vector = found
    return sum(vector.values())


def _binomials(n: int, d: int) -> list[int]:
    return [math.comb(n, j) if j >= n - d else 0 for j in range(n + 1)]


def one_input_maximum(widths: Sequence[int]) -> int:
    """``prod (n_l + 1)``: the maximum for one input, attained when ``n_l >= 3``.  Slopes 0."""
    return math.prod(n + 1 for n in widths)


def raghu_2017_order(inputs: int, width: int, depth: int) -> int:
    """``n^(L n_0)``: the order of growth of an upper bound for L layers of n ReLUs, without its constant: no bound of a
    given network.

    Raghu et al., *On the expressive power of deep neural networks* (2017).
    """
    return int(width ** (depth * inputs))


def hanin_rolnick_2019_expectation(inputs: int, units: int, volume: Fraction, constant: Fraction) -> Fraction:
    """``volume (T N)^(n_0) / n_0!`` for ``N >= n_0``, else ``2^N``: a bound of the *expected* number of activation
    regions in a cube of that volume, over random weights and biases whose gradients and densities the constant T
    bounds.

    Hanin, Rolnick, *Deep ReLU networks have surprisingly few activation patterns* (2019).
    """
    if units < inputs:
        return Fraction(2**units)
    return volume * (constant * units) ** inputs / math.factorial(inputs)


# --- lower bounds: what the best network of the shape has at least ---------------------------------------------------


def pascanu_2013_lower(inputs: int, widths: Sequence[int]) -> int:
    """``prod_{l < L} floor(n_l / n_0) * sum_{j <= n_0} C(n_L, j)``.  ReLUs, ``n_l >= n_0`` (else ValueError).

    Pascanu, Montúfar, Bengio, *On the number of response regions of deep feed forward networks* (2013).
    """
    _require_width(inputs, widths, inputs)
    return math.prod(n // inputs for n in widths[:-1]) * cells_of(widths[-1], inputs)


def montufar_2014_lower(inputs: int, widths: Sequence[int]) -> int:
    """``prod_{l < L} floor(n_l / n_0)^(n_0) * sum_{j <= n_0} C(n_L, j)``.  ReLUs, ``n_l >= n_0`` (else ValueError).

    Montúfar, Pascanu, Cho, Bengio, *On the number of linear regions of deep neural networks* (2014).
    """
    _require_width(inputs, widths, inputs)
    return int(math.prod((n // inputs) ** inputs for n in widths[:-1])) * cells_of(widths[-1], inputs)


def arora_2018_lower(inputs: int, half_first: int, width: int, depth: int) -> int:
    """``2 sum_{j < n_0} C(m - 1, j) * w^(L - 1)`` for a first layer of 2m ReLUs and L - 1 layers of w.

    Arora, Basu, Mianjy, Mukherjee, *Understanding deep neural networks with rectified linear units* (2018).
    """
    return central_cells(half_first, inputs) * int(width ** (depth - 1))


def serra_2018_lower(inputs: int, widths: Sequence[int]) -> int:
    """``prod_{l < L} (floor(n_l / n_0) + 1)^(n_0) * sum_{j <= n_0} C(n_L, j)``.  ReLUs, ``n_l >= 3 n_0`` (else
    ValueError: with a bottleneck the formula exceeds what is possible).

    Serra, Tjandraatmadja, Ramalingam (2018), as above.
    """
    _require_width(inputs, widths, 3 * inputs)
    return int(math.prod((n // inputs + 1) ** inputs for n in widths[:-1])) * cells_of(widths[-1], inputs)


def _require_width(inputs: int, widths: Sequence[int], least: int) -> None:
    if inputs < 1 or min(widths, default=0) < least:
        raise ValueError(f"the bound needs at least one layer and layers of at least {least} units for {inputs} "
                         f"inputs, received {list(widths)}")
