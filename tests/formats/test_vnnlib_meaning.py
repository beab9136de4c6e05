"""A random formula, evaluated directly, is true exactly where the boxes and half-spaces read from its text are."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.test_vnnlib import declarations
from verifier.formats.vnnlib import parse_property

INPUTS, OUTPUTS = 2, 2
NAMES = [f"X_{i}" for i in range(INPUTS)] + [f"Y_{j}" for j in range(OUTPUTS)]
Values = dict[str, Fraction]
Term = tuple[str, Callable[[Values], Fraction]]
Formula = tuple[str, Callable[[Values], bool]]
RELATIONS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "=": operator.eq}

numbers = st.sampled_from(["0", "1", "-1", "0.5", "-2", "1.5e0", "20e-1", ".25", "0.1"])


def constant(text: str) -> Term:
    return text, lambda values: Fraction(text)


def variable(name: str) -> Term:
    return name, lambda values: values[name]


def apply(name: str, arguments: list[Term]) -> Term:
    fold = {"+": operator.add, "-": operator.sub}[name]

    def value(values: Values) -> Fraction:
        first, *rest = (f(values) for _, f in arguments)
        return reduce(fold, rest, first) if rest or name == "+" else -first

    return f"({name} {' '.join(t for t, _ in arguments)})", value


def scale(factor: str, term: Term, form: int) -> Term:
    text, value = term
    if form == 2 and Fraction(factor):
        return f"(/ {text} {factor})", lambda values: value(values) / Fraction(factor)
    return f"(* {factor} {text})" if form else f"(* {text} {factor})", lambda values: value(values) * Fraction(factor)


def compare(relation: str, terms: list[Term]) -> Formula:
    return (f"({relation} {' '.join(t for t, _ in terms)})",
            lambda values: all(RELATIONS[relation](a, b) for a, b in pairwise(f(values) for _, f in terms)))


def connect(name: str, parts: list[Formula]) -> Formula:
    test = {"and": all, "or": any}[name]
    return f"({name} {' '.join(t for t, _ in parts)})", lambda values: test(f(values) for _, f in parts)


def negate(part: Formula) -> Formula:
    return f"(not {part[0]})", lambda values: not part[1](values)


terms = st.recursive(
    st.one_of(numbers.map(constant), st.sampled_from(NAMES).map(variable)),
    lambda inner: st.one_of(st.builds(apply, st.sampled_from("+-"), st.lists(inner, min_size=1, max_size=3)),
                            st.builds(scale, numbers, inner, st.integers(0, 2))), max_leaves=4)
bounds = st.builds(lambda relation, name, number: compare(relation, [variable(name), constant(number)]),
                   st.sampled_from(list(RELATIONS)), st.sampled_from(NAMES), numbers)
atoms = st.one_of(bounds, st.builds(compare, st.sampled_from(list(RELATIONS)), st.lists(terms, min_size=2, max_size=3)),
                  st.sampled_from([("true", lambda values: True), ("false", lambda values: False)]))
formulas = st.recursive(
    atoms, lambda inner: st.one_of(
        st.builds(connect, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=4)),
        st.builds(negate, inner)), max_leaves=8)
# The numbers that occur in formulas are the coordinates worth trying: there strict and closed differ.
coordinates = st.one_of(numbers.map(Fraction), st.fractions(-3, 3, max_denominator=12))
points = st.lists(coordinates, min_size=len(NAMES), max_size=len(NAMES)).map(tuple)


@settings(max_examples=400)
@given(st.lists(formulas, min_size=1, max_size=3), st.lists(points, min_size=1, max_size=12))
def test_formula_and_cases_agree(asserted: list[Formula], tried: list[tuple[Fraction, ...]]) -> None:
    text = declarations(INPUTS, OUTPUTS) + "\n".join(f"(assert {t})" for t, _ in asserted)
    result = parse_property(text)
    for point in tried:
        values = dict(zip(NAMES, point, strict=True))
        expected = all(f(values) for _, f in asserted)
        read = any(case.box.contains(point[:INPUTS]) and any(all(h.contains(point) for h in d) for d in case.disjuncts)
                   for case in result.cases)
        assert read == expected, (text, point)
    assert result.contradictory == (not result.cases)
    boxes = [case.box for case in result.cases]
    assert len(set(boxes)) == len(boxes)
    for case in result.cases:
        assert len({frozenset(d) for d in case.disjuncts}) == len(case.disjuncts) > 0
