"""Images by linear programs over their sources, against images by generators."""

from __future__ import annotations

import random
from fractions import Fraction as F

import pytest
from hypothesis import given, settings

from tests.geometry.polyhedra import random_rows, seeds
from verifier.geometry import images
from verifier.geometry.affine_image import AffineImage
from verifier.geometry.homogeneous import Constraints, echelon
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.geometry.union_json import from_json, to_json
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix


def random_map(rng: random.Random, inputs: int, outputs: int) -> tuple[Matrix, Matrix]:
    """Small numbers, so that rows repeat, vanish and depend on each other."""
    weight = [[F(rng.choice((0, 0, 1, -1, 2)), rng.choice((1, 1, 3))) for _ in range(inputs)] for _ in range(outputs)]
    if outputs > 1 and rng.random() < 0.3:
        weight[1] = [-v for v in weight[0]]
    return (Matrix.from_rationals(weight, inputs),
            Matrix.column([F(rng.randint(-2, 2), rng.choice((1, 2))) for _ in range(outputs)]))


def pair(rng: random.Random, outputs: int) -> tuple[AffineImage, Polyhedron]:
    """The same image twice; the source may be flat, empty or unbounded."""
    source = random_rows(rng, rng.randint(1, 4))
    n = source.ambient_dimension
    weight, bias = random_map(rng, n, outputs)
    image = AffineImage.under(images.affine(weight, bias, n, outputs), source.any_constraints)
    return image, Polyhedron(n, None, source.generators).affine_image(weight, bias)


def same(image: Polyhedron, truth: Polyhedron) -> None:
    """Questions by programs first, then the descriptions."""
    assert image.is_implicit
    assert image.is_empty() == truth.is_empty()
    assert image.dimension == truth.dimension
    assert image.is_bounded() == truth.is_bounded()
    if not truth.is_empty():
        assert image.bounding_box() == truth.bounding_box()
        assert truth.contains(image.interior_point())
        assert truth.contains(image.point())
        hull = image._interior.equations
        assert list(hull) == echelon(hull)[0] == echelon(truth.constraints.equations)[0]
        for objective in ([1] * truth.ambient_dimension, [F(1, 2), -3, 2][:truth.ambient_dimension]):
            assert image.maximum(objective) == truth.maximum(objective)
    if not truth.is_bounded():
        direction = image.direction()
        assert any(direction)
        assert truth.contains([p + 1000 * d for p, d in zip(image.point(), direction, strict=True)])
    assert image.is_implicit
    assert image.equals(truth)
    assert not image.is_implicit
    if truth.is_bounded():
        assert set(image.generators.vertices) == set(truth.generators.vertices)
    assert image.dimension == truth.dimension


@settings(max_examples=50, deadline=None)
@given(rng=seeds())
def test_an_image_answers_as_its_generators_do(rng: random.Random) -> None:
    same(*pair(rng, rng.randint(1, 3)))


@settings(max_examples=25, deadline=None)
@given(rng=seeds())
def test_membership_and_the_point_above(rng: random.Random) -> None:
    image, truth = pair(rng, rng.randint(1, 3))
    points = [tuple(F(rng.randint(-6, 6), rng.choice((1, 2, 3))) for _ in range(truth.ambient_dimension))
              for _ in range(5)]
    points += [] if truth.is_empty() else [truth.interior_point(), *truth.vertices()]
    for point in points:
        assert image.contains(point) == truth.contains(point)
        vector = Polyhedron.from_points([point]).any_generators.vertices[0]
        above = image.source_point(vector)
        assert (above is None) == (not truth.contains(point))
        if above is not None:
            assert Polyhedron(len(above), image.source).contains(above)
            assert image._above(above) == point
    assert image.is_implicit


@settings(max_examples=25, deadline=None)
@given(rng=seeds())
def test_intersections_maps_and_preimages_are_images_again(rng: random.Random) -> None:
    outputs = rng.randint(1, 3)
    (image, truth), (other, other_truth) = pair(rng, outputs), pair(rng, outputs)
    rows = random_rows(rng, outputs)
    same(image.intersection(rows), truth.intersection(rows))
    same(rows.intersection(image) if not rows.is_polygonal else image.intersection(rows), truth.intersection(rows))
    same(image.intersection(other), truth.intersection(other_truth))
    assert image.intersects(other) == truth.intersects(other_truth)
    weight, bias = random_map(rng, outputs, rng.randint(1, 2))
    same(image.affine_image(weight, bias), truth.affine_image(weight, bias))
    same(image.projection([outputs - 1]), truth.projection([outputs - 1]))
    weight, bias = random_map(rng, rng.randint(1, 2), outputs)
    same(image.preimage(weight, bias), truth.preimage(weight, bias))
    polygon = Polyhedron.from_points([[F(rng.randint(-2, 2)) for _ in range(outputs)] for _ in range(3)])
    assert image.intersection(polygon).equals(truth.intersection(polygon))
    assert image.is_implicit
    assert polygon.intersection(image).equals(truth.intersection(polygon))


def test_what_lives_in_many_dimensions_is_projected_without_its_vertices() -> None:
    """The cube in 20 dimensions has a million vertices; 3 coordinates of its half have a dozen."""
    n = 20
    cube = Polyhedron.from_box(Box.from_bounds([-1] * n, [1] * n))
    half = cube.constrained(Constraints(((1, *(-1,) * n),)))  # the sum is at most 1
    shadow = half.projection((3, 7, 11))
    assert shadow.is_implicit
    assert len(shadow.vertices()) == 8
    ones = Matrix.from_rationals([[1] * n, [F(1, 2)] * n, [int(j < 2) for j in range(n)]], n)
    image = half.affine_image(ones, Matrix.column([0, 0, 1]))
    assert image.dimension == 2
    assert sorted(image.vertices()) == [(-20, -10, -1), (-16, -8, 3), (1, F(1, 2), -1), (1, F(1, 2), 3)]


def test_a_map_is_required() -> None:
    with pytest.raises(ValueError, match="affine map to R\\^2"):
        AffineImage(2, source=Constraints(()), rows=((1, 0), (0, 1)))
    with pytest.raises(ValueError, match="affine map"):
        AffineImage(1, source=Constraints(()), rows=((1, 1), (0, 1)))


@settings(max_examples=15, deadline=None)
@given(rng=seeds())
def test_images_as_json(rng: random.Random) -> None:
    image, truth = pair(rng, 4)
    text = to_json(UnionOfPolyhedra.of(image))
    assert '"cell"' in text
    (again,) = from_json(text).parts
    assert again.equals(truth)
    assert to_json(UnionOfPolyhedra.of(AffineImage.under(again.rows, again.source))) == text
    image, truth = pair(rng, rng.randint(1, 3))
    text = to_json(UnionOfPolyhedra.of(image))
    assert '"vertices"' in text
    assert from_json(text).parts[0].equals(truth)


@pytest.mark.parametrize("part", [
    '{"cell": {}}', '{"map": [["1", "0"]]}', '{"cell": {}, "map": [["1", "0"]], "vertices": []}',
    '{"cell": [], "map": [["1", "0"]]}', '{"cell": {}, "map": []}', '{"cell": {}, "map": [["1"]]}',
    '{"cell": {}, "map": [["1", "0"], ["1", "0"]]}', '{"cell": {}, "map": ["1", "0"]}',
    '{"cell": {"vertices": []}, "map": [["1", "0"]]}', '{"cell": {"inequalities": [["1"]]}, "map": [["1", "0"]]}',
])
def test_malformed_images(part: str) -> None:
    with pytest.raises(ValueError, match="part 0"):
        from_json(f'{{"format": "union of polyhedra", "version": 1, "dimension": 1, "parts": [{part}]}}')
