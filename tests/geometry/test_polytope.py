from __future__ import annotations

import random
from fractions import Fraction as F

import pytest
from hypothesis import given, settings

from tests.geometry.polyhedra import (
    box,
    grid,
    lift,
    random_cone,
    random_polytope,
    random_rows,
    same_set_by_constraints,
    seeds,
)
from verifier.geometry.by_linear_programs import minimise
from verifier.geometry.convex_hull import convex_hull
from verifier.geometry.homogeneous import Constraints, Generators
from verifier.geometry.polytope import Polyhedron
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Matrix
from verifier.solvers.linear_program import Infeasible, Unbounded


def test_a_triangle():
    triangle = Polyhedron.from_points([(0, 0), (2, 0), (1, 0), (0, 2), (F(1, 2), F(1, 2))])
    assert triangle.vertices() == ((0, 0), (2, 0), (0, 2))
    assert set(triangle.facets()) == {HalfSpace((0, -1), 0), HalfSpace((-1, 0), 0), HalfSpace((1, 1), 2)}
    assert triangle.equations() == ()
    assert triangle.dimension == 2
    assert triangle.bounding_box() == Box.from_bounds([0, 0], [2, 2])
    assert triangle.contains((1, 1))
    assert not triangle.contains((1, F(2**60 + 1, 2**60)))
    assert triangle.maximum([F(1, 3), 1]) == 2


@pytest.mark.parametrize("points", [[(1, 2)], [(0, 0), (3, 3)], [(0, 0, 0), (3, 4, 0)], [(1,)], [(1, 0), (F(1, 3), 0)],
                                    [(0, 0, 1), (1, 0, 1), (0, 1, 1)]])
def test_flat_sets(points):
    flat = Polyhedron.from_points(points)
    again = same_set_by_constraints(flat)
    assert flat.dimension == again.dimension == len(points) - 1
    assert set(again.vertices()) == set(flat.vertices()) == {tuple(map(F, p)) for p in points}
    assert len(flat.equations()) == len(points[0]) - len(points) + 1
    assert len(flat.facets()) == (len(points) if len(points) > 1 else 0)
    assert flat.volume() == 0 or flat.dimension == flat.ambient_dimension
    assert flat.equals(again)


def test_the_empty_set():
    for empty in (Polyhedron.empty(2), Polyhedron.from_points([], dimension=2),
                  Polyhedron.from_matrix(Matrix.from_rationals([[1, 0, 0], [-1, 0, -1]])),
                  Polyhedron.from_matrix(Matrix.from_rationals([[1, 1, 0], [1, 1, 1]]), [True, True]),
                  Polyhedron.from_matrix(Matrix.from_rationals([[0, 0, -1]])),
                  lift(box((0, 1), (0, 1))).constrained(Constraints(((-2, 1, 0, 0, 0, 0, 0),)))):
        assert empty.is_empty()
        assert empty.point() is empty.interior_point() is None
        assert empty.dimension == -1
        assert empty.is_bounded()
        assert empty.vertices() == ()
        assert empty.volume() == 0 if empty.ambient_dimension <= 5 else empty.facets() != ()
        assert box(*[(0, 1)] * empty.ambient_dimension).includes(empty)
        assert not empty.intersects(box(*[(0, 1)] * empty.ambient_dimension))
        assert not empty.contains([0] * empty.ambient_dimension)
        with pytest.raises(ValueError, match="empty set"):
            empty.bounding_box()
        with pytest.raises(ValueError, match="empty set"):
            empty.maximum([1] * empty.ambient_dimension)
    assert Polyhedron.empty(3).projection([0]).is_empty()


def test_unbounded_sets():
    strip = Polyhedron.from_box(Box((F(0), None), (F(1), None)))
    assert strip.lines() == ((0, 1),)
    assert strip.rays() == ()
    assert len(strip.vertices()) == 2
    assert strip.direction() == (0, 1)
    assert strip.bounding_box() == Box((F(0), None), (F(1), None))
    assert strip.maximum([1, 0]) == 1
    assert strip.maximum([0, -1]) is None
    with pytest.raises(ValueError, match="goes on"):
        strip.volume()
    quadrant = Polyhedron.from_points([(0, 0)], rays=[(2, 0), (0, F(1, 2)), (1, 1)])
    assert quadrant.rays() == ((1, 0), (0, 1))
    assert set(quadrant.facets()) == {HalfSpace((-1, 0), 0), HalfSpace((0, -1), 0)}
    outside = strip.point_outside(quadrant)
    assert outside is not None
    assert quadrant.contains(outside)
    assert not strip.contains(outside)
    halfway = Polyhedron.from_points([(0, 0), (5, 7)], rays=[(1, 0), (-2, 0), (0, 1)])
    assert halfway.lines() == ((1, 0),)
    assert halfway.rays() == ((0, 1),)
    assert Polyhedron.from_points([(0, 0)], rays=[(1, 0), (-1, 1), (0, -1)]).lines() == ((1, 0), (0, 1))
    everything = Polyhedron.from_box(Box.whole_space(3))
    assert everything.dimension == 3
    assert everything.facets() == ()
    assert len(everything.lines()) == 3
    assert everything.includes(Polyhedron.from_points([(1, 2, 3)], lines=[(1, 1, 1)]))
    cone = Polyhedron.from_matrix(Matrix.from_rationals([[-1, 0, 0]]))  # its apex is left out by cddlib
    assert cone.point() == (0, 0)
    assert cone.vertices() == ((0, 0),)


def test_wrong_use():
    with pytest.raises(ValueError, match="closed"):
        Polyhedron.from_half_spaces(1, [HalfSpace((F(1),), F(0), strict=True)])
    with pytest.raises(ValueError, match="neither"):
        Polyhedron(2)
    with pytest.raises(ValueError, match="at least 1"):
        Polyhedron.empty(0)
    with pytest.raises(ValueError, match="length"):
        Polyhedron(2, None, Generators(((1, 0),)))
    with pytest.raises(ValueError, match="no point"):
        Polyhedron.from_points([])
    with pytest.raises(ValueError, match="cannot be compared"):
        box((0, 1)).intersects(box((0, 1), (0, 1)))
    with pytest.raises(ValueError, match="coordinates run"):
        box((0, 1)).projection([1])
    with pytest.raises(ValueError, match="shape"):
        box((0, 1)).affine_image(Matrix.identity(2), Matrix.zeros(2, 1))
    with pytest.raises(ValueError, match="at least one set"):
        convex_hull([])
    with pytest.raises(ValueError, match="up to 5"):
        box(*[(0, 1)] * 6).volume()


def test_questions_in_many_dimensions_need_no_vertices():
    cube = Polyhedron.from_box(Box.from_bounds([0] * 15, [1] * 15))
    flat = Polyhedron.from_box(Box.from_bounds([0] * 15, [1] * 14 + [0]))
    assert cube.dimension == 15
    assert flat.dimension == 14
    assert cube.includes(flat)
    outside = flat.point_outside(cube)
    assert outside is not None
    assert cube.contains(outside)
    assert not flat.contains(outside)
    assert cube.maximum([1] * 15) == 15
    assert len(flat.facets()) == 28
    assert len(flat.equations()) == 1
    inner = flat.interior_point()
    assert inner is not None
    assert all(0 < v < 1 for v in inner[:-1])
    assert cube.is_bounded()
    assert cube.bounding_box() == Box.from_bounds([0] * 15, [1] * 15)
    half = Polyhedron.from_box(Box((F(0),) * 15, (F(1),) * 14 + (None,)))
    assert half.direction() is not None
    assert cube.point_outside(half) is not None
    assert not any("generators" in p.__dict__ for p in (cube, flat, half))


@settings(max_examples=120)
@given(rng=seeds())
def test_constraints_and_generators_describe_one_set(rng):
    polyhedron = rng.choice((random_rows, random_cone))(rng, rng.randint(1, 4))
    by_generators = Polyhedron(polyhedron.ambient_dimension, None, polyhedron.generators)
    by_constraints = same_set_by_constraints(by_generators)
    assert polyhedron.equals(by_generators)
    assert set(by_constraints.generators.vertices) == set(polyhedron.generators.vertices) or polyhedron.lines()
    assert by_constraints.dimension == by_generators.dimension == polyhedron.dimension
    assert polyhedron.is_empty() or polyhedron.contains(polyhedron.interior_point())
    for point in grid(polyhedron.ambient_dimension, 1, 1):
        assert polyhedron.contains(point) == by_generators.contains(point)
    # every facet is needed, every vertex too
    for k in range(len(by_constraints.facets()) if polyhedron.dimension >= 0 else 0):
        forms = by_constraints.constraints
        fewer = Polyhedron(polyhedron.ambient_dimension, Constraints(
            forms.inequalities[:k] + forms.inequalities[k + 1:], forms.equations))
        assert not polyhedron.includes(fewer)
    generators = polyhedron.generators
    for k in range(len(generators.vertices) if len(generators.vertices) > 1 else 0):
        fewer = Polyhedron(polyhedron.ambient_dimension, None, Generators(
            generators.vertices[:k] + generators.vertices[k + 1:], generators.rays, generators.lines))
        assert not fewer.includes(polyhedron)


@settings(max_examples=60)
@given(rng=seeds())
def test_linear_programs_and_generators_agree(rng):
    n = rng.randint(1, 3)
    low = random_rows(rng, n)
    if low.is_empty():
        assert isinstance(minimise(low.any_constraints, [1] * n), Infeasible)
        return
    high = lift(low)
    assert high.dimension == low.dimension
    assert high.is_empty() == low.is_empty()
    assert high.is_bounded() == low.is_bounded()
    objective = [rng.randint(-2, 2) for _ in range(n)]
    assert high.maximum([*objective, *[0] * (6 - n)]) == low.maximum(objective)
    assert high.bounding_box().lower[:n] == low.bounding_box().lower
    inner = high.interior_point()
    assert inner is not None
    assert all(sum(a * v for a, v in zip(h.normal, inner[:n], strict=True)) < h.offset
               for h in low.facets())
    assert len(high.facets()) == len(low.facets())
    other = random_rows(rng, n)
    if not other.is_empty():
        assert high.includes(lift(other)) == low.includes(other)
        assert high.intersects(lift(other)) == low.intersects(other)
        outside = high.point_outside(lift(other))
        if outside is not None:
            assert other.contains(outside[:n])
            assert not low.contains(outside[:n])
    direction = high.direction()
    assert direction is None or isinstance(minimise(high.any_constraints, [-d for d in direction]), Unbounded)


@settings(max_examples=100)
@given(rng=seeds())
def test_two_polytopes(rng):
    n = rng.randint(1, 3)
    p, q = random_polytope(rng, n), random_polytope(rng, n)
    common = p.intersection(q)
    other_way = same_set_by_constraints(p).intersection(same_set_by_constraints(q))
    assert common.equals(other_way)
    assert set(common.vertices()) == set(other_way.vertices())
    for point in grid(n, 3, 2 if n < 3 else 1):
        assert common.contains(point) == (p.contains(point) and q.contains(point))
    meeting = p.common_point(q)
    assert (meeting is None) == common.is_empty()
    assert meeting is None or (p.contains(meeting) and q.contains(meeting))
    outside = p.point_outside(q)
    assert (outside is None) == all(p.contains(v) for v in q.vertices())
    assert outside is None or (q.contains(outside) and not p.contains(outside))
    hull = convex_hull([p, q])
    assert hull.includes(p)
    assert hull.includes(q)
    assert set(hull.vertices()) <= set(p.vertices()) | set(q.vertices())


@settings(max_examples=60)
@given(rng=seeds())
def test_projection_agrees_with_elimination(rng):
    """A point is in the projection exactly when its fibre is not empty."""
    polyhedron = random_rows(rng, 3)
    coordinates = rng.choice(([0], [2, 0], [1, 2], [0, 1, 2], [1, 1]))
    shadow = polyhedron.projection(coordinates)
    for point in grid(len(coordinates), 2, 1):
        rows = [[int(i == j) for i in range(3)] + [v] for j, v in zip(coordinates, point, strict=True)]
        fibre = polyhedron.intersection(Polyhedron.from_matrix(Matrix.from_rationals(rows, 4), [True] * len(rows)))
        assert shadow.contains(point) == (not fibre.is_empty())


@settings(max_examples=60)
@given(rng=seeds())
def test_images_and_preimages(rng):
    polytope = random_polytope(rng, rng.randint(1, 3))
    n, m = polytope.ambient_dimension, rng.randint(1, 3)
    weight = Matrix.from_rationals([[F(rng.randint(-2, 2), rng.randint(1, 3)) for _ in range(n)] for _ in range(m)])
    bias = Matrix.column([F(rng.randint(-2, 2), 3) for _ in range(m)])
    image = polytope.affine_image(weight, bias)

    def apply(point):
        return tuple(sum((w * v for w, v in zip(row, point, strict=True)), b)
                     for row, (b,) in zip(weight.rows(), bias.rows(), strict=True))

    assert set(image.vertices()) <= {apply(v) for v in polytope.vertices()}
    assert all(image.contains(apply(v)) for v in polytope.vertices())
    back = image.preimage(weight, bias)
    assert back.includes(polytope)
    for point in grid(n, 1, 1):
        assert back.contains(point) == image.contains(apply(point))


def test_nothing_is_converted_that_is_not_asked_for():
    rng = random.Random(5)
    part = Polyhedron.from_points([[rng.randint(-9, 9) for _ in range(4)] for _ in range(12)])
    part.projection([0, 1]).contains((0, 0))
    assert part.bounding_box().is_bounded
    assert part.dimension == 4
    assert not part.is_empty()
    assert part.affine_image(Matrix.identity(4), Matrix.zeros(4, 1)).point() is not None
    assert convex_hull([part, part]).maximum([1, 1, 1, 1]) == part.maximum([1, 1, 1, 1])
    assert not {"constraints", "generators"} & set(part.__dict__)
