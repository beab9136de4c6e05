from __future__ import annotations

from fractions import Fraction as F

from verifier.solvers.cdd import Description, Table, dual_description


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
