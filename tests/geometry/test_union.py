from __future__ import annotations

import random
from fractions import Fraction as F

import pytest
from hypothesis import given, settings

from tests.geometry.polyhedra import box, grid, random_polytope, random_union, seeds, strings
from tests.reference import cells
from verifier.geometry.difference import difference
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.simplify import convex_union
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix


def reach(layers, domain):
    """The union of the images of all cells, found by brute force."""
    network = Network(tuple(Layer.relu(Matrix.from_rationals(w), Matrix.column(b)) for w, b in layers))
    parts = []
    for cell in cells(network, domain):
        rows = [[-F(a) for a in row[:-1]] + [F(row[-1])] for row in cell.constraints]
        region = Polyhedron.from_matrix(Matrix.from_rationals(rows))
        parts.append(region.affine_image(Matrix.from_rationals(cell.weight), Matrix.column(cell.constant)))
    return UnionOfPolyhedra(network.outputs, tuple(parts))


E1 = (([[2, 0], [1, -1], [1, 1]], [F(1, 2), -1, F(-1, 2)]), ([[-1, 0, 1], [1, -1, 0]], [F(-1, 2), F(1, 2)]))
E2 = (([[F(3, 2), 1], [0, F(1, 2)]], [F(1, 2), F(1, 2)]), ([[F(-3, 2), 1], [F(1, 10), -1]], [F(1, 10), F(1, 5)]))


def test_first_published_example():
    union = reach(E1, Box.from_bounds([0, 0], [2, 2]))
    assert len(union.parts) == 4
    triangle = Polyhedron.from_points([(0, 1), (0, 2), (F(1, 2), 1)])
    segment = Polyhedron.from_points([(0, 1), (0, 5)])
    assert union.equals(UnionOfPolyhedra.of(triangle, segment))
    assert union.volume() == F(1, 4)
    simple = union.merged()
    assert sorted(len(p.vertices()) for p in simple.parts) == [2, 3]
    assert {frozenset(strings(p.vertices())) for p in simple.parts} == {
        frozenset({("0", "1"), ("0", "2"), ("1/2", "1")}), frozenset({("0", "1"), ("0", "5")})}
    assert union.point_outside(Polyhedron.from_points([(0, 0), (0, 1)])) is not None
    assert not union.contains((F(1, 1000), 3))
    assert simple.point_outside(union) is None


def test_second_published_example():
    union = reach(E2, Box.from_bounds([-1, -1], [1, 1]))
    assert len(union.parts) == 6
    expected = [Polyhedron.from_points([(0, 0), (0, F(31, 150)), (F(1, 10), F(1, 5)), (F(3, 10), 0)]),
                Polyhedron.from_points([(0, 0), (F(11, 10), 0)]), Polyhedron.from_points([(0, 0), (0, F(3, 10))])]
    assert union.equals(UnionOfPolyhedra.of(*expected))
    simple = union.merged()
    assert len(simple.parts) == 3
    assert all(any(part.equals(e) for e in expected) for part in simple.parts)
    assert union.bounding_box() == Box.from_bounds([0, 0], [F(11, 10), F(3, 10)])
    assert union.dimension == 2
    assert union.projection([1]).merged().parts[0].vertices() == ((0,), (F(3, 10),))


def test_pieces_together_and_a_hole():
    square = box((0, 2), (0, 2))
    ring = UnionOfPolyhedra.of(box((0, 2), (0, F(1, 2))), box((0, 2), (F(3, 2), 2)), box((0, F(1, 2)), (0, 2)),
                               box((F(3, 2), 2), (0, 2)))
    assert ring.volume() == 3
    hole = ring.point_outside(square)
    assert hole is not None
    assert all(F(1, 2) < v < F(3, 2) for v in hole)
    filled = UnionOfPolyhedra(2, (*ring.parts, box((F(1, 2), F(3, 2)), (F(1, 2), F(3, 2)))))
    assert filled.includes(square)
    assert filled.equals(square)
    assert ring.convex_hull().equals(square)
    assert not ring.equals(square)


def test_the_witness_avoids_flat_parts():
    """The centre of the square lies on both diagonals, and the centres of the pieces on further flat parts."""
    square = box((0, 2), (0, 2))
    flats = UnionOfPolyhedra.of(*(Polyhedron.from_points(points) for points in (
        [(0, 0), (2, 2)], [(0, 2), (2, 0)], [(1, F(1, 3))], [(0, F(1, 3)), (2, F(1, 3))])))
    witness = flats.point_outside(square)
    assert witness is not None
    assert square.contains(witness)
    assert not flats.contains(witness)


def test_inclusion_across_touching_parts():
    cut = UnionOfPolyhedra.of(box((0, 1), (0, 1)), box((1, 2), (0, 1)))
    assert cut.includes(Polyhedron.from_points([(F(1, 2), 0), (F(3, 2), 1)]))
    assert cut.includes(Polyhedron.from_points([(1, 0), (1, 1)]))
    gap = UnionOfPolyhedra.of(box((0, 1), (0, 1)), box((1 + F(1, 2**80), 2), (0, 1)))
    segment = Polyhedron.from_points([(0, F(1, 2)), (2, F(1, 2))])
    witness = gap.point_outside(segment)
    assert witness is not None
    assert 1 < witness[0] < 1 + F(1, 2**80)
    almost = UnionOfPolyhedra.of(box((0, 1), (0, 1)), box((1, 2), (0, 1)), Polyhedron.from_points([(3, 3)]))
    assert almost.point_outside(Polyhedron.from_points([(3, 3), (3, 4)])) is not None
    assert almost.includes(Polyhedron.from_points([(3, 3)]))


def test_empty_and_unbounded_unions():
    nothing = UnionOfPolyhedra(2, ())
    hollow = UnionOfPolyhedra.of(Polyhedron.empty(2), Polyhedron.empty(2))
    for union in (nothing, hollow):
        assert union.is_empty()
        assert union.point() is None
        assert union.volume() == 0
        assert union.dimension == -1
        assert not union.contains((0, 0))
        assert union.convex_hull().is_empty()
        assert union.merged().parts == union.without_contained_parts().parts == ()
        assert not union.intersects(box((0, 1), (0, 1)))
        assert union.equals(nothing)
        assert box((0, 1), (0, 1)).includes(union.convex_hull())
        with pytest.raises(ValueError, match="empty set"):
            union.bounding_box()
    left = Polyhedron.from_box(Box((None, None), (F(0), None)))
    right = Polyhedron.from_box(Box((F(0), None), (None, None)))
    plane = UnionOfPolyhedra.of(left, right)
    assert not plane.is_bounded()
    assert plane.bounding_box() == Box.whole_space(2)
    assert plane.includes(Polyhedron.from_box(Box.whole_space(2)))
    assert len(plane.merged().parts) == 1
    apart = UnionOfPolyhedra.of(left, Polyhedron.from_box(Box((F(1, 9), None), (None, None))))
    witness = apart.point_outside(Polyhedron.from_box(Box.whole_space(2)))
    assert witness is not None
    assert 0 < witness[0] < F(1, 9)
    with pytest.raises(ValueError, match="goes on"):
        plane.volume()
    assert UnionOfPolyhedra.of(box((0, 1), (0, 1)), Polyhedron.from_points([(0, 0)], [(1, 0)])).volume() == 1


def test_wrong_use():
    with pytest.raises(ValueError, match="parts in dimensions"):
        UnionOfPolyhedra(2, (box((0, 1)),))
    with pytest.raises(ValueError, match="needs its dimension"):
        UnionOfPolyhedra.of()
    with pytest.raises(ValueError, match="cannot be compared"):
        UnionOfPolyhedra.of(box((0, 1))).includes(box((0, 1), (0, 1)))


def test_a_checkerboard_merges_into_one():
    cells_ = [box((i, i + 1), (j, j + 1), (0, 1)) for i in range(3) for j in range(3)]
    random.Random(3).shuffle(cells_)
    whole = UnionOfPolyhedra(3, tuple(cells_))
    assert whole.equals(box((0, 3), (0, 3), (0, 1)))
    assert whole.volume() == 9
    assert sum(p.volume() for p in whole.merged().parts) == 9
    assert len(UnionOfPolyhedra(3, tuple(c for c in cells_ if c.contains((F(1, 2), 0, 0))
                                         or c.contains((F(1, 2), F(3, 2), 0)))).merged().parts) == 1


def test_convex_union():
    assert convex_union(box((0, 1), (0, 1)), box((1, 2), (0, 1))).equals(box((0, 2), (0, 1)))
    assert convex_union(box((0, 1), (0, 1)), box((1, 2), (0, F(1, 2)))) is None
    assert convex_union(box((0, 1), (0, 1)), box((F(3, 2), 2), (0, 1))) is None
    assert convex_union(box((0, 2), (0, 1)), box((0, 1), (0, 2))) is None
    overlapping = convex_union(box((0, 2), (0, 1)), box((1, 3), (0, 1)))
    assert overlapping is not None
    assert overlapping.volume() == 3
    assert convex_union(Polyhedron.from_points([(0, 0), (1, 1)]), Polyhedron.from_points([(1, 1), (2, 2)])).equals(
        Polyhedron.from_points([(0, 0), (2, 2)]))
    assert convex_union(Polyhedron.from_points([(0, 0), (1, 1)]), Polyhedron.from_points([(1, 1), (2, 3)])) is None
    assert convex_union(box((0, 1), (0, 1)), Polyhedron.from_points([(1, 0), (2, 0)])) is None


@settings(max_examples=80)
@given(rng=seeds())
def test_membership_decides_everything(rng):
    n = rng.randint(1, 3)
    union, other = random_union(rng, n), random_union(rng, n, 2)
    simple, least, common = union.merged(), union.without_contained_parts(), union.intersection(other)
    for point in grid(n, 3, 2 if n < 3 else 1):
        inside = any(p.contains(point) for p in union.parts)
        assert union.contains(point) == simple.contains(point) == least.contains(point) == inside
        assert common.contains(point) == (inside and other.contains(point))
        index = union.part_containing(point)
        assert (index is not None) == inside
        assert index is None or union.parts[index].contains(point)
    assert simple.equals(union)
    assert least.equals(union)
    assert union.volume() == simple.volume()
    assert union.includes(common)
    assert other.includes(common)
    meeting = union.common_point(other)
    assert (meeting is None) == common.is_empty()
    assert meeting is None or (union.contains(meeting) and other.contains(meeting))
    for i, part in enumerate(simple.parts):
        for later in simple.parts[i + 1:]:
            assert convex_union(part, later) is None


@settings(max_examples=80)
@given(rng=seeds())
def test_inclusion_and_difference(rng):
    n = rng.randint(1, 3)
    union, polytope = random_union(rng, n), random_polytope(rng, n)
    witness = union.point_outside(polytope)
    pieces = list(difference(polytope, union.parts))
    assert (witness is None) == (not pieces)
    if witness is not None:
        assert polytope.contains(witness)
        assert not union.contains(witness)
    for piece in pieces:
        assert polytope.includes(piece)
        assert piece.dimension == polytope.dimension
        assert not union.contains(piece.interior_point())
    for point in grid(n, 3, 2 if n < 3 else 1):
        if polytope.contains(point):
            assert union.contains(point) or any(piece.contains(point) for piece in pieces)
    if polytope.dimension == n:
        covered = UnionOfPolyhedra(n, tuple(polytope.intersection(p) for p in union.parts)).volume()
        assert sum((piece.volume() for piece in pieces), covered) == polytope.volume()


@settings(max_examples=40)
@given(rng=seeds())
def test_projections_and_images_of_unions(rng):
    union = random_union(rng, 3)
    flat = union.projection([2, 0])
    weight = Matrix.from_rationals([[0, 0, 1], [1, 0, 0]])
    assert flat.equals(union.affine_image(weight, Matrix.zeros(2, 1)))
    if not union.is_empty():
        assert flat.bounding_box().lower == tuple(union.bounding_box().lower[j] for j in (2, 0))
        assert union.convex_hull().includes(union.parts[-1])
