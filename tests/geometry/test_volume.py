from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction as F

import pytest
from hypothesis import given, settings

from tests.geometry.polyhedra import box, random_polytope, same_set_by_constraints, seeds
from verifier.geometry.convex_hull import convex_hull
from verifier.geometry.homogeneous import determinant
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.rational import Matrix


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_known_volumes(n):
    cube = box(*[(F(-1, 3), 2)] * n)
    assert cube.volume() == F(7, 3) ** n
    units = [[int(i == j) for i in range(n)] for j in range(n)]
    simplex = Polyhedron.from_points([[0] * n, *units])
    assert simplex.volume() == F(1, math.factorial(n))
    cross = Polyhedron.from_points([*units, *([-v for v in u] for u in units)])
    assert cross.volume() == F(2**n, math.factorial(n))
    assert same_set_by_constraints(cross).volume() == cross.volume()
    # a pyramid over a cube: the apex is in general position, the base is not a simplex
    pyramid = Polyhedron.from_points([*((*p, 0) for p in itertools.product((0, 1), repeat=n - 1)), [F(1, 7)] * n])
    assert pyramid.volume() == F(1, 7 * n)


@pytest.mark.parametrize("n", [3, 4])
def test_the_permutohedron(n):
    """Vertices: the permutations of 0, ..., n; relative volume: sqrt(n + 1) (n + 1)^(n - 1)."""
    permutohedron = Polyhedron.from_points(itertools.permutations(range(n + 1)))
    assert permutohedron.dimension == n
    assert permutohedron.volume() == 0
    assert permutohedron.relative_volume_squared() == (n + 1) * (n + 1) ** (2 * n - 2)
    assert permutohedron.relative_volume() == (None if n == 4 else 32)


def test_flat_parts_have_relative_volumes():
    assert Polyhedron.from_points([(0, 0, 0), (3, 4, 0)]).relative_volume() == 5
    assert Polyhedron.from_points([(0, 0), (1, 1)]).relative_volume_squared() == 2
    assert Polyhedron.from_points([(0, 0), (1, 1)]).relative_volume() is None
    assert Polyhedron.from_points([(5, 6, 7)]).relative_volume() == 1
    assert Polyhedron.from_points([(0, 0, 0), (0, 0, 2), (3, 4, 0), (3, 4, 2)]).relative_volume() == 10
    assert Polyhedron.empty(3).relative_volume() == 0
    assert box((0, 2), (0, F(1, 3))).relative_volume() == F(2, 3)
    assert Polyhedron.from_points([(*v, 0, 0, 0) for v in itertools.product((0, 1), repeat=5)]).relative_volume() == 1
    with pytest.raises(ValueError, match="up to 5"):
        Polyhedron.from_points([[0] * 6, *([int(i == j) for i in range(6)] for j in range(6))]).relative_volume()


def lawrence(vertices, facets):
    """Lawrence's signed formula over the vertices of a simple polytope, with random objective."""
    n = len(vertices[0])
    rng = random.Random(0)
    c = [F(rng.randint(1, 10**6)) for _ in range(n)]
    total = F(0)
    for v in vertices:
        tight = [h for h in facets if sum(a * x for a, x in zip(h.normal, v, strict=True)) == h.offset]
        assert len(tight) == n, "not simple"
        normals = [[int(a * math.lcm(*(x.denominator for x in h.normal))) for a in h.normal] for h in tight]
        scales = [math.lcm(*(x.denominator for x in h.normal)) for h in tight]
        det = F(abs(determinant(normals)), math.prod(scales))
        gammas = [F(determinant([list(map(int, c)) if i == k else row for i, row in enumerate(normals)]),
                    determinant(normals)) * scales[k] for k in range(n)]
        total += sum(a * x for a, x in zip(c, v, strict=True)) ** n / (math.factorial(n) * det * math.prod(gammas))
    return abs(total)


@pytest.mark.parametrize(("n", "cuts"), [(2, 9), (3, 8), (4, 5), (5, 3)])
def test_simple_polytopes_by_lawrence(n, cuts):
    rng = random.Random(n)
    rows = [[rng.randint(-9, 9) for _ in range(n)] + [rng.randint(15, 30)] for _ in range(cuts)]
    rows += [[s * int(i == j) for i in range(n)] + [F(rng.randint(20, 40), 10)] for j in range(n) for s in (1, -1)]
    polytope = Polyhedron.from_matrix(Matrix.from_rationals(rows))
    assert polytope.is_bounded()
    assert len(polytope.facets()) > 2 * n
    assert polytope.volume() == lawrence(polytope.vertices(), polytope.facets()) > 0


@settings(max_examples=60)
@given(rng=seeds())
def test_volume_is_a_valuation(rng):
    """vol(P u Q) = vol P + vol Q - vol(P n Q), pieces of a cut add up, and maps scale by the determinant."""
    n = rng.randint(1, 3)
    p, q = random_polytope(rng, n), random_polytope(rng, n)
    union = UnionOfPolyhedra.of(p, q)
    assert union.volume() == p.volume() + q.volume() - p.intersection(q).volume()
    assert union.volume() <= convex_hull([p, q]).volume()
    rows = [[rng.randint(-2, 2) for _ in range(n)] for _ in range(n)]
    image = p.affine_image(Matrix.from_rationals(rows), Matrix.column([F(1, 3)] * n))
    assert image.volume() == abs(determinant(rows)) * p.volume()
    assert image.relative_volume() == image.volume() or image.dimension < n


@settings(max_examples=25)
@given(rng=seeds())
def test_union_volume_by_inclusion_and_exclusion(rng):
    n = rng.randint(1, 3)
    parts = [random_polytope(rng, n) for _ in range(rng.randint(1, 4))]
    total = F(0)
    for size in range(1, len(parts) + 1):
        for chosen in itertools.combinations(parts, size):
            common = chosen[0]
            for part in chosen[1:]:
                common = common.intersection(part)
            total += (-1) ** (size + 1) * common.volume()
    assert UnionOfPolyhedra(n, tuple(parts)).volume() == total
