"""Minimal constraints by linear programs, against double description."""

from __future__ import annotations

import random

from hypothesis import given, settings

from tests.geometry.polyhedra import random_rows, seeds
from verifier.geometry.by_linear_programs import RelativeInterior, relative_interior, without_redundancy
from verifier.geometry.homogeneous import Constraints, echelon, unsigned
from verifier.geometry.polytope import Polyhedron


def minimal(given_constraints: Constraints, dimension: int) -> Constraints:
    inside = relative_interior(given_constraints, dimension)
    assert isinstance(inside, RelativeInterior)
    return without_redundancy(given_constraints, inside)


def test_redundancy_and_hidden_equations() -> None:
    rows = ((1, -1, 0), (-1, 1, 0), (2, 0, 1), (3, 0, 1), (5, 0, 0), (2, 0, 1), (3, -1, 1))
    assert minimal(Constraints(rows), 2) == Constraints(((3, -1, 1),), ((1, -1, 0),))  # the last says y >= -2 as well


def test_repeated_and_dependent_equations() -> None:
    answer = minimal(Constraints(((0, 0, 0, 1),), ((0, 1, 1, 0), (0, 2, 2, 0), (1, 1, 0, 0), (1, 2, 1, 0))), 3)
    assert answer.inequalities == ((0, 0, 0, 1),)
    assert len(answer.equations) == 2


@settings(max_examples=60, deadline=None)
@given(rng=seeds())
def test_as_many_facets_as_double_description_finds(rng: random.Random) -> None:
    polyhedron = random_rows(rng, rng.randint(1, 4))
    if polyhedron.is_empty():
        return
    n = polyhedron.ambient_dimension
    found = minimal(polyhedron.any_constraints, n)
    truth = Polyhedron(n, None, polyhedron.generators).constraints
    assert Polyhedron(n, found).equals(polyhedron)
    assert echelon(found.equations)[0] == echelon(truth.equations)[0] == [unsigned(row) for row in found.equations]
    assert len(found.inequalities) == len(truth.inequalities)
    assert set(found.inequalities) <= set(polyhedron.any_constraints.inequalities)
