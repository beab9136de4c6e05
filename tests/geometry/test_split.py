from __future__ import annotations

import itertools

from hypothesis import given, settings

from tests.geometry.polyhedra import box, random_cone, random_polytope, random_rows, seeds
from verifier.geometry.homogeneous import Constraints, opposite, primitive, side
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.split import split


@settings(max_examples=150)
@given(rng=seeds())
def test_halves_are_those_of_double_description(rng):
    """Cut again and again, so that redundant inequalities pile up; through vertices as often as not."""
    n = rng.randint(1, 4)
    whole = rng.choice((random_polytope, random_rows, random_cone))(rng, n)
    for _ in range(3):
        form = primitive([rng.randint(-3, 3) for _ in range(n + 1)])
        generators = whole.generators
        values = [side(form, g) for g in generators.vertices + generators.rays]
        if not generators.lines and (not values or min(values) >= 0 or max(values) <= 0):
            continue
        if whole.is_empty():
            return
        halves = split(whole, form)
        for half, row in zip(halves, (opposite(form), form), strict=True):
            known = whole.constraints
            expected = Polyhedron(n, Constraints((*known.inequalities, row), known.equations))
            assert set(half.generators.vertices) == set(expected.generators.vertices) or half.generators.lines
            assert set(half.generators.rays) == set(expected.generators.rays) or half.generators.lines
            assert half.equals(expected)
            assert Polyhedron(n, half.any_constraints).equals(Polyhedron(n, None, half.any_generators))
        whole = rng.choice(halves)


def test_a_cube_through_its_corners():
    """Half of a cube by a plane through four of its vertices, and by one through six edge midpoints."""
    cube = box(*[(0, 2)] * 3)
    below, above = split(cube, (0, 1, -1, 0))
    assert len(below.vertices()) == len(above.vertices()) == 6
    assert below.volume() == above.volume() == 4
    below, above = split(cube, (-3, 1, 1, 1))
    assert len(below.vertices()) == len(above.vertices()) == 10
    assert below.volume() == above.volume() == 4
    assert set(map(sorted_point, below.vertices())) & set(map(sorted_point, above.vertices())) == {(0, 1, 2)}


def sorted_point(point):
    return tuple(sorted(point))


def test_an_octahedron_is_not_simple():
    """Four facets meet in each vertex: two vertices may share facets without being adjacent."""
    cross = Polyhedron.from_points([*itertools.chain.from_iterable(
        ([int(i == j) for i in range(4)], [-int(i == j) for i in range(4)]) for j in range(4))])
    for form in ((0, 1, 1, 0, 0), (0, 1, 1, 1, 1), (0, 1, 0, 0, 0)):
        below, above = split(cross, form)
        assert below.volume() == above.volume() == cross.volume() / 2
        assert all(len(half.vertices()) == len(Polyhedron(4, half.constraints).vertices()) for half in (below, above))
