from __future__ import annotations

import json
from fractions import Fraction as F

import pytest
from hypothesis import given, settings

from tests.geometry.polyhedra import random_polytope, random_rows, seeds
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.geometry.union_json import from_json, to_json


def test_the_documented_form():
    triangle = Polyhedron.from_points([(0, 1), (F(1, 2), 1), (0, 2)])
    text = to_json(UnionOfPolyhedra.of(triangle))
    assert json.loads(text) == {
        "format": "union of polyhedra", "version": 2, "dimension": 2,
        "parts": [{"vertices": [0, 1, 2], "rays": [], "lines": []}],
        "points": [["0", "1"], ["1/2", "1"], ["0", "2"]]}
    both = json.loads(to_json(UnionOfPolyhedra.of(triangle), constraints=True))["parts"][0]
    assert sorted(both["inequalities"]) == sorted([["0", "-1", "-1"], ["2", "1", "2"], ["-1", "0", "0"]])
    assert both["equations"] == []
    old = ('{"format": "union of polyhedra", "version": 1, "dimension": 2, "parts": '
           '[{"vertices": [["0", "1"], ["1/2", "1"], ["0", "2"]]}]}')
    assert from_json(old).equals(triangle)
    halves = '{"format": "union of polyhedra", "version": 1, "dimension": 1, "parts": [{"inequalities": [["2", "3"]]}]}'
    assert from_json(halves).bounding_box().upper == (F(3, 2),)


@settings(max_examples=60)
@given(rng=seeds())
def test_round_trip(rng):
    n = rng.randint(1, 3)
    union = UnionOfPolyhedra(n, tuple(rng.choice((random_polytope, random_rows))(rng, n)
                                      for _ in range(rng.randint(0, 4))))
    for constraints in (False, True):
        text = to_json(union, constraints)
        again = from_json(text)
        assert again.ambient_dimension == n
        assert len(again.parts) == len(union.parts)
        assert all(a.equals(b) for a, b in zip(again.parts, union.parts, strict=True))
        assert constraints or to_json(again) == text


def test_long_numbers_survive():
    value = F(3**20_000 + 1, 2**30_000)
    union = UnionOfPolyhedra.of(Polyhedron.from_points([(value, -value)]))
    assert from_json(to_json(union)).parts[0].vertices() == ((value, -value),)


def test_points_that_parts_share_are_written_once():
    square = [Polyhedron.from_points([(0, 0), (1, 0), corner]) for corner in ((1, 1), (0, 1))]
    data = json.loads(to_json(UnionOfPolyhedra.of(*square), inputs=lambda i, vertices: [(1, i)] * len(vertices)))
    assert [part["vertices"] for part in data["parts"]] == [[0, 1, 2], [3, 4, 5]]  # by other inputs
    data = json.loads(to_json(UnionOfPolyhedra.of(*square), inputs=lambda _, vertices: vertices))
    assert [part["vertices"] for part in data["parts"]] == [[0, 1, 2], [0, 1, 3]]
    assert data["inputs"] == data["points"]


HEAD = '{"format": "union of polyhedra", "version": 1, "dimension": 2, "parts": '
TABLE = '{"format": "union of polyhedra", "version": 2, "dimension": 2, "points": [["1", "2"]], "parts": '


@pytest.mark.parametrize(("text", "message"), [
    ("", "Expecting value"),
    ("[" * 100_000, "nested"),
    ("[]", "expected an object"),
    ('{"format": "polygon"}', "expected an object"),
    (HEAD.replace("1", "3") + "[]}", "version 1 or 2, received 3"),
    (HEAD.replace("1", "true") + "[]}", "version 1 or 2, received True"),
    (HEAD.replace('": 2', '": true') + "[]}", "positive dimension, received True"),
    (HEAD.replace('": 2', '": 0') + "[]}", "positive dimension"),
    (HEAD + "{}}", "list"),
    (HEAD + "[{}]}", "part 0: expected an object with"),
    (HEAD + "[[]]}", "part 0"),
    (HEAD + '[{"vertices": [["1", "2"]], "colour": []}]}', "unknown keys"),
    (HEAD + '[{"vertices": [["1"]]}]}', "part 0, vertices 0: expected a list of 2"),
    (HEAD + '[{"vertices": ["12"]}]}', "expected a list of 2"),
    (HEAD + '[{"vertices": {}}]}', "no list"),
    (HEAD + '[{"vertices": [["1", 2]]}]}', "expected a string"),
    (HEAD + '[{"vertices": [["1", "1e30000000"]]}]}', "expected a string"),
    (HEAD + '[{"vertices": [["1", "0.5"]]}]}', "expected a string"),
    (HEAD + '[{"vertices": [["1", "1/0"]]}]}', "denominator"),
    (HEAD + '[{"vertices": [["1", "1/-2"]]}]}', "expected a string"),
    (HEAD + '[{"vertices": [["1", "\u0661"]]}]}', "expected a string"),
    (HEAD + f'[{{"vertices": [["1", "{"1" * 100_001}"]]}}]}}', "at most 100000"),
    (HEAD + '[{"vertices": [], "rays": [["1", "0"]]}]}', "need a vertex"),
    (HEAD + '[{"inequalities": [["1", "0"]]}]}', "expected a list of 3"),
    (TABLE + '[{"vertices": [0, 1]}]}', "part 0, vertices: expected the number of one of 1 points, received '1'"),
    (TABLE + '[{"vertices": [-1]}]}', "part 0, vertices: expected the number"),
    (TABLE + '[{"vertices": [true]}]}', "part 0, vertices: expected the number"),
    (TABLE + '[{"vertices": [["1", "2"]]}]}', "part 0, vertices: expected the number"),
    (TABLE + '[{"vertices": 0}]}', "part 0, vertices: expected a list"),
    (TABLE + '[{"vertices": [0], "inputs": [["1"]]}]}', "unknown keys"),
    (TABLE + '[], "inputs": []}', "the set: inputs is no list"),
    (TABLE + '[], "inputs": [["x"]]}', "the set, inputs 0: expected a string"),
    (HEAD + '[{"vertices": [["1", "0"]], "inequalities": [["1", "0", "1"]]}]}', "different sets"),
])
def test_other_text_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        from_json(text)
