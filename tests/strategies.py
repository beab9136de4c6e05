"""Random networks, boxes, half-spaces and queries, with degenerate position as the home ground.

Each kind has one generator, a function of ``random.Random``: a seed gives a reproducible loop, and hypothesis, driving
the same generator through ``st.randoms``, gives shrinking.  Degenerate draws use small integers and halves, so that
repeated, negated, scaled and zero rows, concurrent hyperplanes and constant units are the rule; the others use float32
weights in general position.  Sizes keep brute force (``tests.reference``) within milliseconds.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

from tests.reference import evaluate, output_range
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Disjunct, Query
from verifier.kernel.rational import Matrix, Point

T = TypeVar("T")

NUMBERS = tuple(Fraction(v, 2) for v in (-6, -4, -3, -2, -2, -1, 0, 0, 1, 2, 2, 3, 4, 6))
SLOPES = tuple(map(Fraction, ("1", "-1", "1/100", "1/2", "2", "-1/3")))
MOST_UNITS = {1: 12, 2: 12, 3: 9, 4: 7}
"""By the number of inputs: cells grow like units ** inputs."""
MARGIN = Fraction(1, 2**40)


@dataclass(frozen=True)
class Touching:
    """A query whose threshold is an exactly attained extreme value, or ``MARGIN`` beside it, and its answer."""

    query: Query
    nonempty: bool


# --- generators ------------------------------------------------------------------------------------------------------


def random_number(rng: random.Random, degenerate: bool) -> Fraction:
    """A small integer or half, or a float32."""
    return rng.choice(NUMBERS) if degenerate else Fraction(float(np.float32(rng.uniform(-2, 2))))


def random_network(rng: random.Random, degenerate: bool, inputs: int | None = None,
                   outputs: int | None = None) -> Network:
    """1-4 inputs, 1-4 layers, at most ``MOST_UNITS`` units before the last layer and 1-3 (or ``outputs``) in it."""
    dimension = inputs or rng.choice((1, 2, 2, 2, 3, 3, 4))
    left = MOST_UNITS[dimension]
    layers: list[Layer] = []
    width = dimension
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3))):
        units = min(left, rng.choice((1, 2, 3, 4, 4, 5, 6)))
        if units:
            layers.append(random_layer(rng, degenerate, width, units, 0.3 if degenerate else 0.1))
            width, left = units, left - units
    last = outputs or rng.randint(1, 3)
    affine = random_layer(rng, degenerate, width, last, 0.2)
    if rng.random() < 0.8:
        affine = Layer.affine(affine.weight, affine.bias)
    return Network((*layers, affine))


def random_layer(rng: random.Random, degenerate: bool, inputs: int, units: int, other_slopes: float) -> Layer:
    """One layer; degenerate ones have zero, repeated, scaled and parallel rows, and hyperplanes through one point."""
    centre = [Fraction(rng.randint(-1, 1)) for _ in range(inputs)]
    rows: list[list[Fraction]] = []
    for _ in range(units):
        row = [random_number(rng, degenerate) for _ in range(inputs + 1)]
        match rng.randrange(12) if degenerate else -1:
            case 0:
                row = [Fraction(0)] * inputs + [rng.choice(NUMBERS)]
            case 1:
                row[-1] = Fraction(0)
            case 2 | 3:  # hyperplanes through one point
                row[-1] = -sum((a * c for a, c in zip(row, centre, strict=False)), Fraction(0))
            case 4 | 5 if rows:
                factor = rng.choice((1, 1, -1, 2, Fraction(-1, 3)))
                row = [factor * v for v in rng.choice(rows)]
            case 6 if rows:  # a parallel hyperplane
                row = [*rng.choice(rows)[:-1], rng.choice(NUMBERS)]
        rows.append(row)
    slopes = [rng.choice(SLOPES) if rng.random() < other_slopes else Fraction(0) for _ in rows]
    return Layer(Matrix.from_rationals([row[:-1] for row in rows], inputs),
                 Matrix.column([row[-1] for row in rows]), Matrix.column(slopes))


def random_box(rng: random.Random, dimension: int, degenerate: bool, bounded: bool = False) -> Box:
    """Mostly ``[-r, r]`` and small intervals; some coordinates fixed, thin or (unless ``bounded``) unbounded."""
    lower: list[Fraction | None] = []
    upper: list[Fraction | None] = []
    unbounded = not bounded and rng.random() < 0.25
    for _ in range(dimension):
        lo = Fraction(rng.randint(-4, 3), 2) if degenerate else random_number(rng, False)
        match rng.randrange(10 if degenerate else 15):
            case 0:
                hi = lo
            case 1:
                hi = lo + Fraction(1, 2**20)
            case 2 | 3:
                hi = lo + Fraction(rng.randint(1, 6), 2)
            case _:
                lo, hi = -abs(lo) - 1, abs(lo) + 1
        lower.append(None if unbounded and rng.random() < 0.5 else lo)
        upper.append(None if unbounded and rng.random() < 0.5 else hi)
    return Box(tuple(lower), tuple(upper))


def random_point(rng: random.Random, box: Box) -> Point:
    """A corner, an edge point or an inner point of the box, with a small denominator."""
    point = []
    for lower, upper in zip(box.lower, box.upper, strict=True):
        lo = lower if lower is not None else upper - 4 if upper is not None else Fraction(-2)
        hi = upper if upper is not None else lo + 4
        point.append(lo + (hi - lo) * Fraction(rng.choice((0, 0, 1, 2, 3, 4, 4)), 4))
    return tuple(point)


def random_half_space(rng: random.Random, network: Network, degenerate: bool, x: Sequence[Fraction]) -> HalfSpace:
    """On inputs, on outputs or on both, strict or not; its boundary passes through ``(x, network(x))`` or near it."""
    on_inputs, on_outputs = rng.choice(((True, False), (False, True), (False, True), (False, True), (True, True)))
    normal = tuple(random_number(rng, degenerate) if on else Fraction(0)
                   for on, size in ((on_inputs, network.inputs), (on_outputs, network.outputs)) for _ in range(size))
    value = sum((a * v for a, v in zip(normal, (*x, *evaluate(network, x)), strict=True)), Fraction(0))
    shift = rng.choice((Fraction(0), Fraction(0), MARGIN, -MARGIN, random_number(rng, degenerate)))
    return HalfSpace(normal, value + shift, strict=rng.random() < 0.4)


def random_disjunct(rng: random.Random, network: Network, box: Box, degenerate: bool) -> Disjunct:
    """Up to four half-spaces near one or several points of the graph; at times an equation as two half-spaces."""
    x = random_point(rng, box)
    rows = [random_half_space(rng, network, degenerate, x if rng.random() < 0.7 else random_point(rng, box))
            for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3)))]
    if rows and rng.random() < 0.2:
        rows.append(HalfSpace(tuple(-v for v in rows[0].normal), -rows[0].offset, rng.random() < 0.2))
    return tuple(rows)


def random_query(rng: random.Random, degenerate: bool) -> Query:
    """One to three disjuncts (seldom none) over a random network and box; one query in four is a touching one."""
    if rng.random() < 0.25:
        return random_touching(rng, degenerate).query
    network = random_network(rng, degenerate)
    box = random_box(rng, network.inputs, degenerate)
    count = rng.choice((0, 1, 1, 1, 1, 1, 2, 2, 3))
    return Query(network, box, tuple(random_disjunct(rng, network, box, degenerate) for _ in range(count)))


def random_touching(rng: random.Random, degenerate: bool) -> Touching:
    """``row . y`` against its exact extreme value over a bounded box, exactly or ``MARGIN`` beside it."""
    network = random_network(rng, degenerate)
    box = random_box(rng, network.inputs, degenerate, bounded=True)
    row = tuple(random_number(rng, degenerate) for _ in range(network.outputs))
    if not any(row):
        row = (Fraction(1), *row[1:])
    minimum, _ = output_range(network, box, row)
    shift, strict = rng.choice((Fraction(0), Fraction(0), MARGIN, -MARGIN)), rng.random() < 0.5
    half_space = HalfSpace((Fraction(0),) * network.inputs + row, minimum + shift, strict)
    return Touching(Query(network, box, ((half_space,),)), shift > 0 or (shift == 0 and not strict))


def network_of(seed: int) -> tuple[Network, Query]:
    """A network of 2 to 6 inputs and at most 24 units, larger than brute force likes, and a query on a bounded box."""
    rng = random.Random(seed)
    degenerate = bool(seed % 2)
    inputs = width = rng.randint(2, 6)
    left = rng.randint(2, {2: 24, 3: 16, 4: 12, 5: 10, 6: 9}[inputs])
    layers: list[Layer] = []
    while left:
        units = min(left, rng.randint(2, 8))
        layers.append(random_layer(rng, degenerate, width, units, 0.3 if degenerate else 0.1))
        width, left = units, left - units
    last = random_layer(rng, degenerate, width, rng.randint(1, 2), 0.0)
    network = Network((*layers, Layer.affine(last.weight, last.bias)))
    box = random_box(rng, inputs, degenerate, bounded=True)
    return network, Query(network, box, (random_disjunct(rng, network, box, degenerate),))


# --- the same, driven by hypothesis ----------------------------------------------------------------------------------


def _driven(generator: Callable[[random.Random, bool], T], degenerate: bool | None) -> st.SearchStrategy[T]:
    flag = st.booleans() if degenerate is None else st.just(degenerate)
    return st.builds(generator, st.randoms(use_true_random=False), flag)


def networks(degenerate: bool | None = None, inputs: int | None = None,
             outputs: int | None = None) -> st.SearchStrategy[Network]:
    """Networks; both kinds when ``degenerate`` is None."""
    return _driven(functools.partial(random_network, inputs=inputs, outputs=outputs), degenerate)


def boxes(dimension: int, degenerate: bool | None = None, bounded: bool = False) -> st.SearchStrategy[Box]:
    """Boxes of the given dimension."""
    return _driven(lambda rng, flag: random_box(rng, dimension, flag, bounded), degenerate)


def queries(degenerate: bool | None = None) -> st.SearchStrategy[Query]:
    """Queries, touching ones among them."""
    return _driven(random_query, degenerate)


def touching_queries(degenerate: bool | None = None) -> st.SearchStrategy[Touching]:
    """Touching queries with their answers."""
    return _driven(random_touching, degenerate)


def fractions() -> st.SearchStrategy[Fraction]:
    """Small rationals, dyadic and not, and exact values of floats of every size."""
    return st.one_of(st.sampled_from(NUMBERS), st.fractions(max_denominator=1000),
                     st.floats(allow_nan=False, allow_infinity=False).map(Fraction))


def matrices(rows: int | None = None, columns: int | None = None) -> st.SearchStrategy[Matrix]:
    """Matrices of at most 4 x 4, dyadic or general."""

    def build(shape: tuple[int, int]) -> st.SearchStrategy[Matrix]:
        row = st.lists(fractions(), min_size=shape[1], max_size=shape[1])
        return st.lists(row, min_size=shape[0], max_size=shape[0]).map(lambda v: Matrix.from_rationals(v, shape[1]))

    size = st.integers(1, 4)
    return st.tuples(st.just(rows) if rows else size, st.just(columns) if columns else size).flatmap(build)
