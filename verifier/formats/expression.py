"""Linear expressions over inputs and outputs, as people type them: ``2*Y_0 - Y_1 + 1/3*X_0``.

Grammar.  ``expression = [sign] term {sign term}``; a term is a number, a variable, or a product of the two with ``*``
in either order.  Variables are ``X_i`` and ``Y_j``; numbers are those of :mod:`verifier.formats.numbers`.  There is
one level and no brackets, so one regular expression reads a term.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from verifier.formats.errors import InputError
from verifier.formats.numbers import parse_number
from verifier.formats.witness import counted
from verifier.kernel.rational import Point

MAX_LENGTH = 1_000_000
_PLAIN = r"[0-9]+/[0-9]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TERM = re.compile(rf"\s*(?P<sign>[+-])?\s*(?:(?P<factor>{_PLAIN})\s*\*\s*(?P<right>[XY]_[0-9]+)"
                   rf"|(?P<left>[XY]_[0-9]+)\s*\*\s*(?P<divisor>{_PLAIN})"
                   rf"|(?P<alone>[XY]_[0-9]+)|(?P<constant>{_PLAIN}))\s*", re.ASCII)


@dataclass(frozen=True)
class LinearExpression:
    """``coefficients . (x, y) + constant``, with one coefficient for each input, then one for each output."""

    text: str
    coefficients: Point
    constant: Fraction

    @classmethod
    def of_output(cls, index: int, inputs: int, outputs: int) -> LinearExpression:
        """The expression ``Y_index``."""
        return cls(f"Y_{index}", tuple(Fraction(i == inputs + index) for i in range(inputs + outputs)), Fraction(0))


def parse_expression(text: str, inputs: int, outputs: int) -> LinearExpression:
    """Read an expression over that many inputs and outputs.

    Raises InputError with the place for a text that is none, and for a variable that the network does not have.
    """
    if len(text) > MAX_LENGTH:
        raise InputError(f"an expression of at most {MAX_LENGTH} characters was required, received {len(text)}")
    coefficients = [Fraction(0)] * (inputs + outputs)
    constant = Fraction(0)
    place = 0
    while place < len(text) or place == 0:
        match = _TERM.match(text, place)
        if match is None or (place > 0 and match["sign"] is None):
            raise InputError(f"expression {_short(text)!r}, character {place + 1}: a linear expression such as "
                             f"2*Y_0 - 1/2*Y_1 was required, received {_short(text[place:].strip()) or 'nothing'!r}")
        value = parse_number(match["factor"] or match["divisor"] or match["constant"] or "1")
        value = -value if match["sign"] == "-" else value
        name = match["right"] or match["left"] or match["alone"]
        if name is None:
            constant += value
        else:
            coefficients[_position(name, inputs, outputs)] += value
        place = match.end()
    return LinearExpression(" ".join(text.split()), tuple(coefficients), constant)


def _position(name: str, inputs: int, outputs: int) -> int:
    count, what, first = (inputs, "input", 0) if name[0] == "X" else (outputs, "output", inputs)
    digits = name[2:].lstrip("0") or "0"
    if len(digits) > 9 or int(digits) >= count:
        raise InputError(f"the network has {counted(count, what)}, {name[0]}_0 to {name[0]}_{count - 1}: "
                         f"received {_short(name)}")
    return first + int(digits)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
