"""Numbers that people type: decimals with or without an exponent, and quotients of integers.  Nothing is rounded.

The sizes are capped before anything is computed, because ``1e30000000`` is a short text and a very long number.
"""

from __future__ import annotations

import re
from fractions import Fraction

from verifier.formats.errors import InputError

MAX_DIGITS = 3_900  # of a number written out without an exponent: Python converts no more than 4,300
_NUMBER = re.compile(r"(?P<sign>[+-]?)(?:(?P<numerator>[0-9]+)/(?P<denominator>[0-9]+)"
                     r"|(?P<whole>[0-9]*)(?:\.(?P<decimals>[0-9]*))?(?:[eE](?P<power>[+-]?[0-9]{1,4}))?)", re.ASCII)


def parse_number(text: str) -> Fraction:
    """The rational that ``text`` spells: ``-0.25``, ``1e-3``, ``7/3``.  Raises InputError for anything else.

    >>> parse_number("-0.25"), parse_number("7/3")
    (Fraction(-1, 4), Fraction(7, 3))
    """
    match = _NUMBER.fullmatch(text.strip())
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    if match is None or not (match["numerator"] or match["whole"] or match["decimals"]):
        raise InputError(f"a number such as -0.25, 1e-3 or 7/3 was required, received {shown!r}")
    power = int(match["power"] or 0)
    if len(text) + abs(power) > MAX_DIGITS:
        raise InputError(f"a number of at most {MAX_DIGITS} digits was required, received {shown!r}")
    sign = -1 if match["sign"] == "-" else 1
    if match["numerator"]:
        if int(match["denominator"]) == 0:
            raise InputError(f"a denominator other than 0 was required, received {shown!r}")
        return sign * Fraction(int(match["numerator"]), int(match["denominator"]))
    decimals = match["decimals"] or ""
    return sign * int((match["whole"] or "") + decimals) * Fraction(10) ** (power - len(decimals))
