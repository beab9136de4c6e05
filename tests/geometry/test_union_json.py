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
        "format": "union of polyhedra", "version": 1, "dimension": 2,
        "parts": [{"vertices": [["0", "1"], ["1/2", "1"], ["0", "2"]], "rays": [], "lines": []}]}
    both = json.loads(to_json(UnionOfPolyhedra.of(triangle), constraints=True))["parts"][0]
    assert sorted(both["inequalities"]) == sorted([["0", "-1", "-1"], ["2", "1", "2"], ["-1", "0", "0"]])
    assert both["equations"] == []
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


HEAD = '{"format": "union of polyhedra", "version": 1, "dimension": 2, "parts": '


@pytest.mark.parametrize(("text", "message"), [
    ("", "Expecting value"),
    ("[" * 100_000, "nested"),
    ("[]", "expected an object"),
    ('{"format": "polygon"}', "expected an object"),
    (HEAD.replace("1", "2") + "[]}", "version 1, received 2"),
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
    (HEAD + '[{"vertices": [["1", "0"]], "inequalities": [["1", "0", "1"]]}]}', "different sets"),
])
def test_other_text_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        from_json(text)
