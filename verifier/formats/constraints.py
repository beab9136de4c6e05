"""Linear constraints over inputs and outputs, in disjunctive normal form.

Theory.  A linear comparison with at least one variable is ``d . v`` in an interval, where the *direction* ``d`` is the
primitive integer vector (no common divisor, first entry positive) of the half-space's normal.  Directions are unique,
so a conjunction is a finite map from directions to intervals, and conjoining is intersecting: parallel constraints
merge, duplicates vanish, and two parallel constraints that contradict each other are seen at once and exactly.  The
directions of single inputs make up the box of the conjunction; they are kept apart from the other rows because a
thousand disjuncts about outputs usually share one box, and then share one object.

Strictness is part of an interval's ends; nothing here rounds.  The sizes of numbers and of normal forms are capped,
because a short text can ask for astronomically large ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

MAX_DISJUNCTS = 100_000
MAX_CONSTRAINTS = 2_000_000  # merged while multiplying out: bounds time and memory, as MAX_DISJUNCTS alone does not
MAX_BITS = 14_000  # about 4,200 decimal digits: Python converts no more than 4,300 to and from text

INPUT, OUTPUT = 0, 1
Variable = tuple[int, int]  # (INPUT, i) is X_i and (OUTPUT, j) is Y_j: inputs sort before outputs
Direction = tuple[tuple[Variable, int], ...]
End = tuple[Fraction, bool]  # value, strict


class ConstraintError(Exception):
    """A constraint that is not linear, or too large; the reader adds the place."""


class Linear(NamedTuple):
    """``sum(coefficients[v] * v) + constant``; no coefficient is zero."""

    coefficients: dict[Variable, Fraction]
    constant: Fraction


class Interval(NamedTuple):
    """A nonempty interval; None means no bound on that side."""

    lower: End | None
    upper: End | None


Intervals = dict[Direction, Interval]


class Conjunction(NamedTuple):
    """The bounds of single inputs (``box``) and all other constraints (``rows``).  Shared: never changed in place."""

    box: Intervals
    rows: Intervals


Disjunction = list[Conjunction]  # [] is false


def true() -> Disjunction:
    """The formula that holds everywhere."""
    return [Conjunction({}, {})]


def combine(added: Sequence[Linear], subtracted: Sequence[Linear] = ()) -> Linear:
    """``sum(added) - sum(subtracted)``, exactly."""
    coefficients: dict[Variable, Fraction] = {}
    constant = _ZERO
    # Long sums mostly meet a variable once, and no constant but zero: then there is nothing to add.
    for terms, negative in ((added, False), (subtracted, True)):
        for term in terms:
            if term.constant:
                constant = _limited(constant - term.constant if negative else constant + term.constant)
            for variable, coefficient in term.coefficients.items():
                own = -coefficient if negative else coefficient
                present = coefficients.get(variable)
                coefficients[variable] = own if present is None else _limited(present + own)
    return Linear({v: c for v, c in coefficients.items() if c}, constant)


def multiply(factors: Sequence[Linear]) -> Linear:
    """The product; raises ConstraintError when two factors contain variables."""
    if sum(bool(f.coefficients) for f in factors) > 1:
        raise ConstraintError("a linear term was required, received a product of two terms with variables")
    scale = _ONE
    for factor in factors:
        if not factor.coefficients:
            scale = factor.constant if scale is _ONE else _limited(scale * factor.constant)
    return _scaled(next((f for f in factors if f.coefficients), Linear({}, Fraction(1))), scale)


def divide(dividend: Linear, divisors: Sequence[Linear]) -> Linear:
    """The quotient; raises ConstraintError when a divisor contains a variable or is zero."""
    divisor = Fraction(1)
    for term in divisors:
        if term.coefficients:
            raise ConstraintError("a constant divisor was required, received a term with variables")
        if not term.constant:
            raise ConstraintError("a divisor other than zero was required, received zero")
        divisor = _limited(divisor * term.constant)
    return _scaled(dividend, 1 / divisor)


def compare(left: Linear, relation: str, right: Linear, negated: bool) -> Disjunction:
    """``left relation right`` or its negation, for a relation among ``<= < >= > =``.

    A negated equality is a disjunction of two strict inequalities; a comparison without variables is evaluated.
    """
    relations = _NEGATIONS[relation] if negated else (relation,)
    coefficients, bound = left.coefficients, right.constant
    if right.coefficients or left.constant:
        difference = combine((left,), (right,))
        coefficients, bound = difference.coefficients, -difference.constant
    if not coefficients:
        return true() if any(_EVALUATE[r](-bound) for r in relations) else []
    direction, scale = _direction(coefficients)
    if scale is not _ONE:
        bound = _limited(bound * scale)
    mirrored = scale is not _ONE and scale < 0
    single_input = len(direction) == 1 and direction[0][0][0] == INPUT
    result = []
    for r in relations:
        constraint = {direction: _interval(_MIRRORED[r] if mirrored else r, bound)}
        result.append(Conjunction(constraint, {}) if single_input else Conjunction({}, constraint))
    return result


def _direction(coefficients: dict[Variable, Fraction]) -> tuple[Direction, Fraction]:
    """The primitive vector, and the factor that makes it of the coefficients."""
    if len(coefficients) == 1:
        ((variable, coefficient),) = coefficients.items()
        return ((variable, 1),), _ONE if coefficient == 1 else 1 / coefficient
    variables = sorted(coefficients.items())
    numerators, denominators = zip(*(c.as_integer_ratio() for _, c in variables), strict=True)
    common = 1
    for denominator in denominators:
        if denominator != common:
            common = math.lcm(common, denominator)
            if common.bit_length() > 2 * MAX_BITS:  # then an entry would have more than MAX_BITS
                raise ConstraintError(_TOO_LARGE)
    if common > 1:
        numerators = tuple(n * (common // d) for n, d in zip(numerators, denominators, strict=True))
    divisor = math.gcd(*numerators) * (1 if numerators[0] > 0 else -1)
    if divisor != 1:
        numerators = tuple(n // divisor for n in numerators)
    if max(map(int.bit_length, numerators)) > MAX_BITS:
        raise ConstraintError(_TOO_LARGE)
    scale = _ONE if common == divisor == 1 else Fraction(common, divisor)
    return tuple((v, n) for (v, _), n in zip(variables, numerators, strict=True)), scale


def disjoin(parts: Sequence[Disjunction]) -> Disjunction:
    """The disjunction, in the order written."""
    result = [conjunction for part in parts for conjunction in part]
    _check_disjuncts(len(result))
    return result


def conjoin(parts: Sequence[Disjunction]) -> Disjunction:
    """The conjunction multiplied out; empty conjunctions are dropped.

    Parts with one disjunct are merged first, in linear time: a file of bounds never multiplies anything.
    """
    if len(parts) == 1:
        return parts[0]
    box: Intervals = {}
    rows: Intervals = {}
    for part in parts:
        if len(part) == 1 and not (_narrow(box, part[0].box) and _narrow(rows, part[0].rows)):
            return []
    result = [Conjunction(box, rows)]
    work = 0
    for part in parts:
        if len(part) == 1:
            continue
        _check_disjuncts(len(result) * len(part))
        product = []
        for first in result:
            for second in part:
                work += sum(len(a) + len(b) for a, b in zip(first, second, strict=True) if a and b)
                if work > MAX_CONSTRAINTS:
                    raise ConstraintError(f"a formula of at most {MAX_CONSTRAINTS} constraints in disjunctive normal "
                                          f"form was required, received a larger one")
                met_box, met_rows = _meet(first.box, second.box), _meet(first.rows, second.rows)
                if met_box is not None and met_rows is not None:
                    product.append(Conjunction(met_box, met_rows))
        result = product
    return result


_ZERO, _ONE = Fraction(0), Fraction(1)
_TOO_LARGE = f"numbers of at most {MAX_BITS} bits were required, received an expression with larger ones"
_NEGATIONS = {"<=": (">",), "<": (">=",), ">=": ("<",), ">": ("<=",), "=": ("<", ">")}
_MIRRORED = {"<=": ">=", "<": ">", ">=": "<=", ">": "<", "=": "="}
_EVALUATE = {"<=": lambda v: v <= 0, "<": lambda v: v < 0, ">=": lambda v: v >= 0, ">": lambda v: v > 0,
             "=": lambda v: v == 0}


def _interval(relation: str, bound: Fraction) -> Interval:
    end = (bound, relation in "<>")
    return Interval(None if relation in ("<=", "<") else end, None if relation in (">=", ">") else end)


def _meet(first: Intervals, second: Intervals) -> Intervals | None:
    if not second:
        return first
    if not first:
        return second
    result = dict(first)
    return result if _narrow(result, second) else None


def _narrow(target: Intervals, other: Intervals) -> bool:
    """Intersect ``target``, in place, with ``other``; False when an interval becomes empty."""
    for direction, interval in other.items():
        present = target.get(direction)
        met = interval if present is None else _intersection(present, interval)
        if met is None:
            return False
        target[direction] = met
    return True


def _intersection(first: Interval, second: Interval) -> Interval | None:
    # At equal values the strict end is the tighter one.
    lower, upper = first.lower or second.lower, first.upper or second.upper
    if first.lower is not None and second.lower is not None:
        lower = max(first.lower, second.lower)
    if first.upper is not None and second.upper is not None:
        upper = min(first.upper, second.upper, key=lambda end: (end[0], not end[1]))
    if lower is not None and upper is not None and not lower[0] < upper[0] and (
            lower[0] > upper[0] or lower[1] or upper[1]):
        return None
    return Interval(lower, upper)


def _scaled(term: Linear, scale: Fraction) -> Linear:
    if not scale:
        return Linear({}, _ZERO)
    coefficients = {v: scale if c == 1 else _limited(c * scale) for v, c in term.coefficients.items()}
    return Linear(coefficients, _limited(term.constant * scale) if term.constant else _ZERO)


def _limited(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise ConstraintError(_TOO_LARGE)
    return value


def _check_disjuncts(count: int) -> None:
    if count > MAX_DISJUNCTS:
        raise ConstraintError(f"a formula of at most {MAX_DISJUNCTS} disjuncts in disjunctive normal form was "
                              f"required, received one of up to {count}")
