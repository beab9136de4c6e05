from __future__ import annotations

import itertools
import time
from fractions import Fraction as F

import pytest

from verifier.geometry.polytope import Polyhedron
from verifier.solvers import cdd
from verifier.solvers.cdd import MOST_DIRECT, Description, Table, dual_description, work_bound
from verifier.solvers.child import OutOfTime, time_limit


def test_a_triangle_both_ways():
    rows = [(0, 1, 0), (0, 0, 1), (F(1, 3), -1, -1)]
    corners = dual_description(Table(rows), Description.CONSTRAINTS)
    assert {tuple(r) for r in corners.rows} == {(1, 0, 0), (1, F(1, 3), 0), (1, 0, F(1, 3))}
    assert not corners.linear
    sides = dual_description(corners, Description.GENERATORS)
    assert len(sides.rows) == 3
    for row in sides.rows:
        values = [sum(a * v for a, v in zip(row, corner, strict=True)) for corner in corners.rows]
        assert sorted(v > 0 for v in values) == [False, False, True]


def test_linear_rows_are_equations_and_lines():
    line = dual_description(Table([(-2, 1, 0)], [0]), Description.CONSTRAINTS)
    assert [tuple(line.rows[i]) for i in line.linear] == [(0, 0, 1)]
    assert [tuple(r) for i, r in enumerate(line.rows) if i not in line.linear] == [(1, 2, 0)]
    back = dual_description(line, Description.GENERATORS)
    assert len(back.linear) == 1


def test_the_conventions_for_empty_sets_and_apexes():
    assert dual_description(Table([(-1, 1), (0, -1)]), Description.CONSTRAINTS).rows == []
    assert dual_description(Table([(0, 1), (0, -1), (-1, 0)]), Description.CONSTRAINTS).rows == []
    half_line = dual_description(Table([(0, 1)]), Description.CONSTRAINTS)
    assert [tuple(r) for r in half_line.rows] == [(0, 1)]  # without the apex 0


def cube_rows(dimension):
    """``-1 <= x_j <= 1``, so many that a child process does it."""
    return [(1, *(sign * (i == j) for i in range(dimension))) for j in range(dimension) for sign in (1, -1)]


def test_large_tables_are_converted_in_a_child_and_the_same():
    rows = cube_rows(10)
    assert work_bound(20, 10) > MOST_DIRECT
    found = dual_description(Table(rows), Description.CONSTRAINTS)
    assert {tuple(r) for r in found.rows} == {(1, *signs) for signs in itertools.product((1, -1), repeat=10)}
    here = cdd._converted(Table(rows), Description.CONSTRAINTS)
    assert {tuple(r) for r in here.rows} == {tuple(r) for r in found.rows}


def test_what_would_take_for_ever_ends_at_its_deadline():
    """And the next call works."""
    table = Table(cube_rows(24))
    with time_limit(time.time() + 0.5), pytest.raises(OutOfTime):
        dual_description(table, Description.CONSTRAINTS)
    with time_limit(time.time() - 1), pytest.raises(OutOfTime, match="not begun"):
        dual_description(table, Description.CONSTRAINTS)
    assert len(dual_description(Table(cube_rows(10)), Description.CONSTRAINTS).rows) == 1024


def test_the_bound_of_the_work():
    """Polygons, the cyclic polytopes of dimension 4, simplices."""
    assert [work_bound(n, 2) // n for n in (3, 7, 50)] == [3, 7, 50]
    assert [work_bound(n, 4) // n for n in (5, 6, 8)] == [5, 9, 20]
    assert [work_bound(d + 1, d) // (d + 1) for d in range(1, 9)] == list(range(2, 10))
    assert work_bound(1, 20) == 1


def test_merging_ends_at_the_deadline(monkeypatch):
    """When a conversion runs out of time the parts reached by then are the same set."""
    from verifier.geometry import simplify
    from verifier.geometry.union import UnionOfPolyhedra

    parts = [Polyhedron.from_points([(i, 0), (i + 1, 0), (i, 1), (i + 1, 1)]) for i in range(6)]
    calls = []

    def slow(first, second):
        calls.append(1)
        if len(calls) > 3:
            raise OutOfTime("late")
        return united(first, second)

    united = simplify.convex_union
    monkeypatch.setattr(simplify, "convex_union", slow)
    union = UnionOfPolyhedra.of(*parts)
    some = union.merged(lambda: len(calls) > 3)
    assert 1 < len(some.parts) < 6
    assert len(calls) == 4
    assert some.equals(union)
