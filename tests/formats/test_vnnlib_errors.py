"""Malformed and hostile properties: one clear sentence with the place, never a traceback, never a long wait."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.test_vnnlib import declarations, read
from verifier.formats.errors import InputError
from verifier.formats.vnnlib import parse_property

TERM = "a number, a variable or a term with +, -, * or / was required, received"
FORMULA = "a formula (and, or, not, <=, <, >=, >, =, true, false) was required, received"
COMMAND = "a command such as (declare-const ...) or (assert ...) was required, received"
MALFORMED = [
    # what is in the file, line, column, sentence
    ("(assert (<= X_0 1)", 1, 1, "a ')' was required for this '(', received the end of the text"),
    ("\n (assert (<= X_0 1)))", 2, 21, "a command or the end was required, received ')' without its '('"),
    ("(assert (<= X_0 1)) end", 1, 21, f"{COMMAND} 'end'"),
    ("(push 1)", 1, 2, f"{COMMAND} 'push'"),
    ("(define-fun f () Real 1)", 1, 2, f"{COMMAND} 'define-fun'"),
    ("(<= X_0 1)", 1, 2, f"{COMMAND} '<='"),
    ("()", 1, 2, f"{COMMAND} '()'"),
    ("((assert true))", 1, 2, f"{COMMAND} '(('"),
    ("(assert\n  (=> true true))", 2, 4, f"{FORMULA} '=>'"),
    ("(assert X_0)", 1, 9, f"{FORMULA} 'X_0'"),
    ("(assert (+ X_0 1))", 1, 10, f"{FORMULA} '+'"),
    ("(assert (and true 1))", 1, 19, f"{FORMULA} '1'"),
    ("(assert ())", 1, 10, f"{FORMULA} '()'"),
    ("(assert (((<= X_0 1))))", 1, 10, f"{FORMULA} '(('"),
    ("(assert)", 1, 1, "exactly 1 argument of assert was required, received 0"),
    ("(assert true true)", 1, 1, "exactly 1 argument of assert was required, received 2"),
    ("(assert (or))", 1, 9, "at least 1 argument of or was required, received 0"),
    ("(assert (not true false))", 1, 9, "exactly 1 argument of not was required, received 2"),
    ("(assert (<= X_0))", 1, 9, "at least 2 arguments of <= were required, received 1"),
    ("(assert (<= X_0 (/ 1)))", 1, 17, "at least 2 arguments of / were required, received 1"),
    ("(assert (<= X_0 (-)))", 1, 17, "at least 1 argument of - was required, received 0"),
    ("(assert (<= X_7 1))", 1, 13, "a declared variable was required, received 'X_7'"),
    ("(assert (<= Z 1))", 1, 13, f"{TERM} 'Z'"),
    ("(assert (<= X_0 (< 1 2)))", 1, 18, f"{TERM} '<'"),
    ("(assert (<= X_0 true))", 1, 17, f"{TERM} 'true'"),
    *((f"(assert (<= X_0 {word}))", 1, 17, f"{TERM} '{word}'")
      for word in ("nan", "NaN", "inf", "-inf", "Infinity", "1_000", "0x10", "1e", "e5", ".", "1.5.2", "1,5", "--1",
                   "\u0661")),  # an Arabic one: int() would read it
    ("(assert (<= (* X_0 X_1) 1))", 1, 13, "a linear term was required, received a product of two terms with "
                                           "variables"),
    ("(assert (<= (/ 1 Y_0) 1))", 1, 13, "a constant divisor was required, received a term with variables"),
    ("(assert (<= (/ X_0 (- 1 1)) 1))", 1, 13, "a divisor other than zero was required, received zero"),
    ("(declare-const X_0 Real)", 1, 16, "one declaration of each variable was required, received a second one of X_0"),
    ("(declare-const X_2 Int)", 1, 20, "the sort Real was required, received 'Int'"),
    ("(declare-const X_2)", 1, 1, "exactly 2 arguments of declare-const were required, received 1"),
    ("(declare-fun X_2 Real)", 1, 1, "exactly 3 arguments of declare-fun were required, received 2"),
    ("(declare-fun X_2 (Real) Real)", 1, 19, "a name or () was required, received 'Real'"),
    ("(declare-fun X_2 Real Real)", 1, 18, "() was required, received 'Real'"),
    ("(declare-fun X_2 (()) Real)", 1, 19, "a name or () was required, received '(('"),
    ("(declare-const X_02 Real)", 1, 16, "a variable named X_0, X_1, ... (inputs) or Y_0, Y_1, ... (outputs) was "
                                         "required, received 'X_02'"),
    ("(declare-const speed Real)", 1, 16, "a variable named X_0, X_1, ... (inputs) or Y_0, Y_1, ... (outputs) was "
                                          "required, received 'speed'"),
    ("(declare-const () Real)", 1, 16, "a variable named X_0, X_1, ... (inputs) or Y_0, Y_1, ... (outputs) was "
                                       "required, received '()'"),
    ("(declare-const X_3 Real)", 1, 16, "a declaration of X_2 was required beside this one of X_3, received none"),
    ("(declare-const Y_9 Real)", 1, 16, "a declaration of Y_2 was required beside this one of Y_9, received none"),
    ("(check-sat)\n(assert true)", 2, 2, "no further declaration or assertion was required after (check-sat), received "
                                         "'assert'"),
    ('(set-info "open', 1, 11, 'a closing " was required, received the end of the text'),
    ("(set-info |open)", 1, 11, "a closing | was required, received the end of the text"),
    ('"text"', 1, 1, f"{COMMAND} '\"text\"'"),
    ('("assert" true)', 1, 2, f"{COMMAND} '\"assert\"'"),
    ('(assert "true")', 1, 9, f"{FORMULA} '\"true\"'"),
    (f"(assert (<= X_0 {'x' * 99}))", 1, 17, f"{TERM} '{'x' * 37}...'"),
    ("\0", 1, 1, f"{COMMAND} '\\x00'"),
]


@pytest.mark.parametrize(("text", "line", "column", "sentence"), MALFORMED)
def test_malformed_text_names_the_place(text: str, line: int, column: int, sentence: str) -> None:
    above = declarations(2, 2)
    with pytest.raises(InputError) as caught:
        parse_property(above + text, "folder/p.vnnlib")
    assert str(caught.value) == f"folder/p.vnnlib:{line + above.count(chr(10))}:{column}: {sentence}"


@pytest.mark.parametrize(("text", "message"), [
    ("", "<text>:1:1: a declaration of at least X_0 was required, received none"),
    ("(declare-const X_0 Real)", "<text>:1:25: a declaration of at least Y_0 was required, received none")])
def test_something_must_be_declared(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        parse_property(text)


HOSTILE = {
    "exponent": ("(assert (<= X_0 1e30000000))", "a number of at most 3900 digits"),
    "negative exponent": ("(assert (<= X_0 1e-30000000))", "a number of at most 3900 digits"),
    "exponent beyond Python": (f"(assert (<= X_0 1e{'9' * 10_000}))", "a number of at most 3900 digits"),
    "digits": (f"(assert (<= X_0 {'7' * 1_000_000}))", "a number of at most 3900 digits"),
    "decimals": (f"(assert (<= X_0 0.{'7' * 10_000}))", "a number of at most 3900 digits"),
    "repeated products": (f"(assert (<= X_0 (* {'1e3000 ' * 1000})))", "numbers of at most 14000 bits"),
    "sum of coprime fractions": (f"(assert (<= X_0 (+ {' '.join(f'(/ 1 {2**61 - k})' for k in range(1, 999))})))",
                                 "numbers of at most 14000 bits"),
    "direction": ("(assert (<= (+ (* 1e3000 X_0) (* 1e-3000 X_1)) 0))", "numbers of at most 14000 bits"),
    "parentheses": ("(" * 1_000_000, "a command such as"),
    "nested formulas": ("(assert " + "(not " * 100_000, "at most 1000 nested parentheses were required"),
    "nested terms": ("(assert (<= X_0 " + "(- " * 100_000, "at most 1000 nested parentheses were required"),
    "nested attributes": ("(set-info " + "(a" * 100_000, "at most 1000 nested parentheses were required"),
    "disjuncts": ("(assert (or (<= Y_0 0) (<= Y_1 0) (<= X_0 0)))" * 40, "at most 100000 disjuncts"),
    "disjuncts in one formula": (f"(assert (and {'(not (= Y_0 Y_1 X_0)) ' * 20}))", "at most 100000 disjuncts"),
    "constraints": (f"(assert (or {' '.join(f'(and (<= Y_0 {i}) (<= Y_1 {i}) (<= X_0 X_1))' for i in range(300))}))"
                    f"(assert (or {' '.join(f'(and (>= Y_0 -{i}) (<= Y_1 -{i}))' for i in range(300))}))",
                    "at most 400000 constraints"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.formats.constraints.MAX_CONSTRAINTS", 400_000)
    text, message = HOSTILE[name]
    start = time.process_time()
    with pytest.raises(InputError, match=message) as caught:
        read(text)
    assert time.process_time() - start < 5
    assert len(str(caught.value)) < 300


def test_accepted_numbers_can_be_printed_and_hashed() -> None:
    (case,) = read("(assert (<= (* 1e3800 X_0) 1)) (assert (<= X_1 1e-3800)) (assert (<= Y_0 (* 1e1900 Y_1)))").cases
    assert case.box.encode()
    assert case.disjuncts[0][0].encode()


def test_large_harmless_texts() -> None:
    depth = 990
    assert read("(assert " + "(not " * depth + "false" + ")" * depth + ")").contradictory
    assert read("(assert " + "(not " * (depth + 1) + "false" + ")" * (depth + 1) + ")").cases
    assert read("(assert (<= X_0 " + "(+ 1 " * depth + "0" + ")" * depth + "))").cases[0].box.upper[0] == depth
    blanks = "\n" * 1_000_000 + ";" * 1_000_000
    start = time.process_time()
    assert read("(assert true)" + blanks + "\n" + blanks).cases
    assert time.process_time() - start < 5


def test_many_boxes_times_many_disjuncts_share_their_boxes() -> None:
    boxes = " ".join(f"(and (<= {b} X_0 {b + 1}) (<= 0 X_1 1))" for b in range(10))
    disjuncts = " ".join(f"(<= Y_0 (+ Y_1 {d}))" for d in range(1000))
    start = time.process_time()
    result = read(f"(assert (or {boxes})) (assert (or {disjuncts}))")
    assert time.process_time() - start < 5
    assert [len(case.disjuncts) for case in result.cases] == [1000] * 10
    assert result.cases[0].disjuncts[7][0] is result.cases[9].disjuncts[7][0]


PIECES = ["(", ")", "(assert", "(declare-const X_2 Real)", "and", "(or ", "(not ", "(<= ", "(+ ", "(* ", "(/ ", "X_0",
          "Y_1", "0.5", "-", "0", "1e9999", " ", "\n", ";", '"', "|", "true", "(check-sat)", "declare-fun", "()",
          "\ud800", "\u00a0"]


@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.text(max_size=40)))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    message = ""
    try:
        read(text)
    except InputError as error:
        message = str(error)
    assert re.match(r"<text>:\d+:\d+: \S|$", message)
