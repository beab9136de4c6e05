"""Small random polyhedra, and slow independent answers about them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from fractions import Fraction

from hypothesis import strategies as st

from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.rational import Matrix, Point


def random_polytope(rng: random.Random, dimension: int, radius: int = 3) -> Polyhedron:
    """The hull of a few small integer points: often flat, often with points that are no vertices."""
    count = rng.randint(1, dimension + 3)
    return Polyhedron.from_points([[Fraction(rng.randint(-radius, radius), rng.choice((1, 1, 2)))
                                    for _ in range(dimension)] for _ in range(count)])


def random_rows(rng: random.Random, dimension: int) -> Polyhedron:
    """A few small integer constraints, equations among them: often unbounded, flat or empty."""
    rows = [[rng.randint(-2, 2) for _ in range(dimension)] + [rng.randint(-1, 4)]
            for _ in range(rng.randint(0, 2 * dimension + 2))]
    matrix = Matrix.from_rationals(rows, dimension + 1)
    return Polyhedron.from_matrix(matrix, [rng.random() < 0.12 for _ in rows])


def random_cone(rng: random.Random, dimension: int) -> Polyhedron:
    """A few points and rays, which may make lines together."""
    vectors = [[rng.randint(-2, 2) for _ in range(dimension)] for _ in range(rng.randint(1, 2 * dimension))]
    return Polyhedron.from_points(vectors[:2], vectors[2:], vectors[:1] if rng.random() < 0.2 else ())


def random_union(rng: random.Random, dimension: int, most: int = 5) -> UnionOfPolyhedra:
    return UnionOfPolyhedra(dimension, tuple(random_polytope(rng, dimension) for _ in range(rng.randint(0, most))))


def grid(dimension: int, radius: int = 3, steps: int = 2) -> Iterable[Point]:
    """Points with denominator ``steps``."""
    ticks = [Fraction(k, steps) for k in range(-radius * steps, radius * steps + 1)]
    return itertools.product(ticks, repeat=dimension)


def box(*bounds: tuple[object, object]) -> Polyhedron:
    return Polyhedron.from_points(itertools.product(*(map(Fraction, pair) for pair in bounds)))


def strings(points: Iterable[Sequence[Fraction]]) -> set[tuple[str, ...]]:
    return {tuple(map(str, p)) for p in points}


def seeds() -> st.SearchStrategy[random.Random]:
    return st.randoms(use_true_random=False)


def lift(polyhedron: Polyhedron) -> Polyhedron:
    """The same set times {0}^k in R^6, given by its constraints: there questions are linear programs."""
    extra = 6 - polyhedron.ambient_dimension
    flat = [[*h.normal, *(0,) * extra, h.offset] for h in (*polyhedron.facets(), *polyhedron.equations())]
    zeros = [[int(i == 6 - extra + k) for i in range(6)] + [0] for k in range(extra)]
    flags = [False] * len(polyhedron.facets()) + [True] * (len(polyhedron.equations()) + extra)
    return Polyhedron.from_matrix(Matrix.from_rationals(flat + zeros, 7), flags)


def same_set_by_constraints(polyhedron: Polyhedron) -> Polyhedron:
    return Polyhedron(polyhedron.ambient_dimension, polyhedron.constraints)
