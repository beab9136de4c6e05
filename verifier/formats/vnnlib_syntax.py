"""The syntax of VNN-LIB 1.0, read in one pass without recursion.

Theory.  VNN-LIB 1.0 is a fragment of SMT-LIB 2: declarations of real constants, and assertions over linear real
arithmetic.  A list opens with its operator, so when an argument is met it is known what is required there (its *sort*)
and whether it stands under an odd number of ``not``.  Negations therefore cost nothing: ``and`` under a negation is
read as ``or``, and a comparison as its opposite.  Each list is reduced to its value (a linear term, or a formula in
disjunctive normal form) when its parenthesis closes; there is no syntax tree and no recursion.

Numbers are read as the rationals they spell: ``0.1`` is 1/10.  Every refusal is an :class:`InputError` that names file,
line and column, what was required and what was received.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from verifier.formats import constraints
from verifier.formats.constraints import INPUT, OUTPUT, ConstraintError, Disjunction, Linear, Variable
from verifier.formats.errors import InputError

MAX_NESTING = 1_000
MAX_DIGITS = 3_900  # of a number written out without an exponent; see constraints.MAX_BITS

# Blanks and comments, then a token or the end; possessive, so that no text makes it backtrack.
_BLANK = r"(?:\s|;[^\n]*+)*+"
_ANY_WORD = r"[^\s();\"|]++"
_ONE = rf"(?P<parenthesis>[()])|(?P<word>{_ANY_WORD})|(?P<quoted>\"[^\"]*+\"|\|[^|]*+\|)|(?P<open>.)|\Z"
_TOKEN = re.compile(rf"{_BLANK}(?:{_ONE})", re.A | re.S)
# Large files consist of operators with two words, many of them alone in an assertion: read as if they were one token.
_PAIR = rf"\((?P<operator>[<>]=?|[-*])\s++(?P<left>{_ANY_WORD})\s++(?P<right>{_ANY_WORD})\s*+\)"
_PAIR_OR_TOKEN = re.compile(rf"{_BLANK}(?:(?P<assert>\(assert\s++)?{_PAIR}(?(assert)\s*+\))|{_ONE})", re.A | re.S)
_NUMBER = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?)([0-9]+))?")
_VARIABLE = re.compile(r"([XY])_(0|[1-9][0-9]{0,8})")


class Sort(enum.Enum):
    """What may stand at a place; the value completes the sentence "... was required"."""

    COMMAND = "a command such as (declare-const ...) or (assert ...)"
    FORMULA = "a formula (and, or, not, <=, <, >=, >, =, true, false)"
    TERM = "a number, a variable or a term with +, -, * or /"
    SYMBOL = "a name or ()"
    ANYTHING = "anything"


@dataclass(frozen=True)
class Operator:
    """Where an operator may stand, what its arguments are, and how many it takes."""

    result: Sort
    argument: Sort
    least: int
    most: int | None = None


# Commands that neither declare nor constrain anything.  Those that change what is asked (push, pop, reset, define-fun,
# ...) are refused as unknown.
_HARMLESS = ("set-logic", "set-info", "set-option", "check-sat", "get-model", "get-value", "get-info", "get-option",
             "get-assignment", "get-proof", "get-unsat-core", "get-assertions", "echo", "exit")
_END_OF_QUESTION = ("check-sat", "exit")
_COMPARISONS = ("<=", "<", ">=", ">", "=")
_OPERATORS = {
    "declare-const": Operator(Sort.COMMAND, Sort.SYMBOL, 2, 2),
    "declare-fun": Operator(Sort.COMMAND, Sort.SYMBOL, 3, 3),
    "assert": Operator(Sort.COMMAND, Sort.FORMULA, 1, 1),
    **{name: Operator(Sort.COMMAND, Sort.ANYTHING, 0) for name in _HARMLESS},
    "and": Operator(Sort.FORMULA, Sort.FORMULA, 1),
    "or": Operator(Sort.FORMULA, Sort.FORMULA, 1),
    "not": Operator(Sort.FORMULA, Sort.FORMULA, 1, 1),
    **{name: Operator(Sort.FORMULA, Sort.TERM, 2) for name in _COMPARISONS},
    "+": Operator(Sort.TERM, Sort.TERM, 1),
    "-": Operator(Sort.TERM, Sort.TERM, 1),
    "*": Operator(Sort.TERM, Sort.TERM, 1),
    "/": Operator(Sort.TERM, Sort.TERM, 2),
}


@dataclass(slots=True)
class _List:
    """An open list.  ``required`` is the sort it must have, ``argument`` the sort of what stands in it."""

    place: int
    required: Sort
    negated: bool
    name: str = ""
    argument: Sort = Sort.ANYTHING
    terms: list[Linear] = field(default_factory=list)
    formulas: list[Disjunction] = field(default_factory=list)
    symbols: list[tuple[str, int]] = field(default_factory=list)


class Reader:
    """Reads one text.  After :meth:`read`, ``declared`` maps variables to the places of their declarations and
    ``assertions`` holds the asserted formulas in order."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.declared: dict[Variable, int] = {}
        self.assertions: list[Disjunction] = []
        self._variables: dict[str, Linear] = {}
        self._ended_by = ""

    def error(self, place: int, sentence: str) -> InputError:
        """An InputError at a place (offset into the text)."""
        line = self.text.count("\n", 0, place) + 1
        column = place - self.text.rfind("\n", 0, place)
        return InputError(f"{self.path}:{line}:{column}: {sentence}")

    def read(self) -> None:
        """Read the whole text.  Raises InputError."""
        stack: list[_List] = []
        for match in _PAIR_OR_TOKEN.finditer(self.text):
            if match.lastgroup != "right":
                self._token(match, stack)
            elif not self._pair(match, stack):  # it stands where none may, or where anything may
                for part in _TOKEN.finditer(self.text, match.start(), match.end()):
                    self._token(part, stack)
        if stack:
            raise self.error(stack[-1].place, "a ')' was required for this '(', received the end of the text")

    def _token(self, match: re.Match[str], stack: list[_List]) -> None:
        kind = match.lastgroup
        if kind is None:
            return
        token, place = match[kind], match.start(kind)
        top = stack[-1] if stack else None
        if kind == "word":
            if top is None:
                raise self.error(place, f"{Sort.COMMAND.value} was required, received {_quote(token)}")
            if not top.name:
                self._open(top, token, place)
            else:
                self._argument(top, token, place)
        elif kind == "parenthesis":
            if token == "(":
                stack.append(self._nested(top, place, len(stack)))
            elif top is None:
                raise self.error(place, "a command or the end was required, received ')' without its '('")
            else:
                self._close(stack.pop(), stack[-1] if stack else None, place)
        elif kind == "quoted" and top is not None and top.name:
            self._argument(top, token, place)
        elif kind == "quoted":
            raise self.error(place, f"{top.required.value if top else Sort.COMMAND.value} was required, "
                                    f"received {_quote(token)}")
        else:
            raise self.error(place, f"a closing {token} was required, received the end of the text")

    def _pair(self, match: re.Match[str], stack: list[_List]) -> bool:
        """Read an operator with two words, if it may stand here."""
        asserted, name, first, second = match.group("assert", "operator", "left", "right")
        result = _OPERATORS[name].result
        if asserted:
            if stack or self._ended_by or result is not Sort.FORMULA:
                return False
        elif not stack or stack[-1].argument is not result or len(stack) >= MAX_NESTING:
            return False
        left = self._variables.get(first) or self._number(first, match.start("left"))
        right = self._variables.get(second) or self._number(second, match.start("right"))
        try:
            if result is Sort.TERM:
                stack[-1].terms.append(_ARITHMETIC[name]([left, right]))
            elif asserted:
                self.assertions.append(constraints.compare(left, name, right, negated=False))
            else:
                negated = stack[-1].negated != (stack[-1].name == "not")
                stack[-1].formulas.append(constraints.compare(left, name, right, negated))
        except ConstraintError as refusal:
            raise self.error(match.start("operator") - 1, str(refusal)) from None
        return True

    def _nested(self, parent: _List | None, place: int, depth: int) -> _List:
        if depth >= MAX_NESTING:
            raise self.error(place, f"at most {MAX_NESTING} nested parentheses were required, received more")
        if parent is None:
            return _List(place, Sort.COMMAND, False)
        if not parent.name and parent.required is not Sort.ANYTHING:
            raise self.error(place, f"{parent.required.value} was required, received '(('")
        return _List(place, parent.argument, parent.negated != (parent.name == "not"))

    def _open(self, opened: _List, token: str, place: int) -> None:
        opened.name = token
        if opened.required is Sort.ANYTHING:
            return
        operator = _OPERATORS.get(token)
        if operator is None or operator.result is not opened.required:
            raise self.error(place, f"{opened.required.value} was required, received {_quote(token)}")
        if self._ended_by and operator.argument is not Sort.ANYTHING:
            raise self.error(place, f"no further declaration or assertion was required after ({self._ended_by}), "
                                    f"received {_quote(token)}")
        opened.argument = operator.argument

    def _argument(self, parent: _List, token: str, place: int) -> None:
        if parent.argument is Sort.TERM:
            term = self._variables.get(token)
            parent.terms.append(self._number(token, place) if term is None else term)
        elif parent.argument is Sort.FORMULA:
            if token not in ("true", "false"):
                raise self.error(place, f"{Sort.FORMULA.value} was required, received {_quote(token)}")
            negated = parent.negated != (parent.name == "not")
            parent.formulas.append(constraints.true() if (token == "true") != negated else [])
        elif parent.argument is Sort.SYMBOL:
            parent.symbols.append((token, place))

    def _number(self, token: str, place: int) -> Linear:
        match = _NUMBER.fullmatch(token)
        if match is None:
            what = "a declared variable" if _VARIABLE.fullmatch(token) else Sort.TERM.value
            raise self.error(place, f"{what} was required, received {_quote(token)}")
        sign, whole, fraction, only_fraction, exponent_sign, exponent = match.groups(default="")
        decimals = fraction or only_fraction
        digits = whole + decimals
        if not exponent and len(digits) <= MAX_DIGITS:
            return Linear({}, Fraction(int(sign + digits), 10 ** len(decimals)))
        power = exponent.lstrip("0") or "0"
        # The length of the exponent is looked at before its value: 1e30000000 must not be computed.
        if len(digits) > MAX_DIGITS or len(power) > 4 or len(digits) + int(power) > MAX_DIGITS:
            raise self.error(place, f"a number of at most {MAX_DIGITS} digits when written without an exponent was "
                                    f"required, received {_quote(token)}")
        scale = (-int(power) if exponent_sign == "-" else int(power)) - len(decimals)
        value = int(sign + digits)
        return Linear({}, Fraction(value * 10**scale) if scale >= 0 else Fraction(value, 10**-scale))

    def _close(self, closed: _List, parent: _List | None, place: int) -> None:
        if closed.required is Sort.ANYTHING:
            return
        if closed.required is Sort.SYMBOL:
            assert parent is not None
            assert not closed.name, "a list of symbols has no operator"
            parent.symbols.append(("()", closed.place))
            return
        if not closed.name:
            raise self.error(place, f"{closed.required.value} was required, received '()'")
        operator = _OPERATORS[closed.name]
        count = len(closed.terms) + len(closed.formulas) + len(closed.symbols)
        if operator.argument is not Sort.ANYTHING and (
                count < operator.least or (operator.most is not None and count > operator.most)):
            bound = "exactly" if operator.most == operator.least else "at least"
            raise self.error(closed.place, f"{bound} {operator.least} argument{'s' * (operator.least != 1)} of "
                                           f"{closed.name} {'were' if operator.least != 1 else 'was'} required, "
                                           f"received {count}")
        try:
            self._reduce(closed, parent)
        except ConstraintError as refusal:
            raise self.error(closed.place, str(refusal)) from None

    def _reduce(self, closed: _List, parent: _List | None) -> None:
        if parent is None:
            if closed.name == "assert":
                self.assertions.append(closed.formulas[0])
            elif closed.name in ("declare-const", "declare-fun"):
                self._declare(closed)
            elif closed.name in _END_OF_QUESTION:
                self._ended_by = closed.name
        elif closed.required is Sort.TERM:
            parent.terms.append(_ARITHMETIC[closed.name](closed.terms))
        elif closed.name in _COMPARISONS:
            parts = [constraints.compare(left, closed.name, right, closed.negated)
                     for left, right in zip(closed.terms, closed.terms[1:], strict=False)]
            parent.formulas.append(parts[0] if len(parts) == 1 else _combine(parts, conjunctive=not closed.negated))
        elif closed.name == "not":
            parent.formulas.append(closed.formulas[0])
        else:
            parent.formulas.append(_combine(closed.formulas, conjunctive=(closed.name == "and") != closed.negated))

    def _declare(self, closed: _List) -> None:
        (name, place), *signature, (sort, sort_place) = closed.symbols
        match = _VARIABLE.fullmatch(name)
        if match is None:
            raise self.error(place, f"a variable named X_0, X_1, ... (inputs) or Y_0, Y_1, ... (outputs) was required, "
                                    f"received {_quote(name)}")
        if signature and signature[0][0] != "()":
            raise self.error(signature[0][1], f"() was required, received {_quote(signature[0][0])}")
        if sort != "Real":
            raise self.error(sort_place, f"the sort Real was required, received {_quote(sort)}")
        if name in self._variables:
            raise self.error(place, f"one declaration of each variable was required, received a second one of {name}")
        variable = (INPUT if match[1] == "X" else OUTPUT, int(match[2]))
        self.declared[variable] = place
        self._variables[name] = Linear({variable: Fraction(1)}, Fraction(0))


def _combine(parts: list[Disjunction], conjunctive: bool) -> Disjunction:
    return constraints.conjoin(parts) if conjunctive else constraints.disjoin(parts)


_ARITHMETIC: dict[str, Callable[[list[Linear]], Linear]] = {
    "+": constraints.combine,
    "-": lambda terms: constraints.combine(terms[:1], terms[1:]) if terms[1:] else constraints.combine((), terms),
    "*": constraints.multiply,
    "/": lambda terms: constraints.divide(terms[0], terms[1:]),
}


def _quote(token: str) -> str:
    return repr(token if len(token) <= 40 else token[:37] + "...")
