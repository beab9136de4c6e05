"""Numbers and counterexamples as text.

Theory.  A rational has a finite decimal exactly when its denominator has no prime factors but 2 and 5; then the number
of decimals is the larger of their multiplicities.  So every dyadic rational, hence every float, can be printed exactly,
and 1/3 cannot.  People are never shown a rounded number without being told so; the competition's witness format knows
decimals only, and is the one place where a number without a finite decimal has to be rounded.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

READABLE_DIGITS = 40
WITNESS_DIGITS = 1_100  # every binary64 number has fewer significant digits (at most 767)

# Exponents of the leading digit for which a number is written without one: an exact number stands there in full, an
# approximation is not to be padded with zeros that look like digits.
_PLAIN = range(-20, 41)
_PLAIN_APPROXIMATION = range(-6, 7)


def format_rational(value: Fraction) -> str:
    """``value`` as an exact decimal when it has one of at most 40 significant digits, else ``p/q (about d)``, where
    ``d`` is marked by that word and has 7 digits.  Never rounded silently.

    >>> format_rational(Fraction(-3, 8)), format_rational(Fraction(1, 3))
    ('-0.375', '1/3 (about 0.3333333)')
    """
    exact = _finite_decimal(value, READABLE_DIGITS)
    if exact is not None:
        return _text(exact)
    # Decimal and not int turns numbers into text here: Python's integers refuse to beyond 4,300 digits.
    quotient = format(Decimal(value.numerator), "f")
    if value.denominator != 1:
        quotient += "/" + format(Decimal(value.denominator), "f")
    return f"{quotient} (about {_text(_nearest(value, 7), _PLAIN_APPROXIMATION)})"


def format_root(square: Fraction) -> str:
    """The root of a number that is not negative: as :func:`format_rational` where it is rational, else named by its
    square, with 7 digits marked by "about".

    >>> format_root(Fraction(9, 4)), format_root(Fraction(2))
    ('1.5', 'sqrt(2) (about 1.414214)')
    """
    root = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
    if root * root == square:
        return format_rational(root)
    about = _context(7).plus(_context(40).sqrt(_nearest(square, 40)))
    quotient = format(Decimal(square.numerator), "f")
    if square.denominator != 1:
        quotient += "/" + format(Decimal(square.denominator), "f")
    return f"sqrt({quotient}) (about {_text(about, _PLAIN_APPROXIMATION)})"


def competition_witness(x: Sequence[Fraction], y: Sequence[Fraction], input_names: Sequence[str],
                        output_names: Sequence[str]) -> str:
    """A counterexample in the format of the competition VNN-COMP: ``sat``, then ``((X_0 value) ... (Y_0 value))``.

    The format knows decimals only.  Values with a finite decimal of at most 1,100 significant digits (every float has
    one) are written exactly; all others as the nearest decimal of 40 significant digits, which need not satisfy the
    property.  Raises ValueError when there are not as many names as values.
    """
    pairs = [*zip(input_names, x, strict=True), *zip(output_names, y, strict=True)]
    lines = []
    for name, value in pairs:
        exact = _finite_decimal(value, WITNESS_DIGITS)
        lines.append(f"({name} {_text(_nearest(value, READABLE_DIGITS) if exact is None else exact)})")
    return "sat\n(" + "\n ".join(lines) + ")\n"


def counted(number: int, one: str, more: str = "") -> str:
    """A number and its noun, which in the plural is ``more``, or ``one`` with an s.

    >>> counted(1, "box", "boxes"), counted(2000, "unit")
    ('1 box', '2,000 units')
    """
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def _finite_decimal(value: Fraction, digits: int) -> Decimal | None:
    """The decimal equal to ``value`` if it has one of at most ``digits`` significant digits, without trailing zeros."""
    context = _context(digits)
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return None if context.flags[decimal.Inexact] else quotient.normalize(context)


def _nearest(value: Fraction, digits: int) -> Decimal:
    return _context(digits).divide(Decimal(value.numerator), Decimal(value.denominator))


def _context(digits: int) -> decimal.Context:
    # The widest exponents: no rational that fits into memory over- or underflows.
    return decimal.Context(prec=digits, rounding=decimal.ROUND_HALF_EVEN, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX,
                           traps=[])


def _text(value: Decimal, plain: range = _PLAIN) -> str:
    if not value:
        return "0"
    return format(value, "f" if value.adjusted() in plain else "e")
