"""Properties read from files: what the assertions mean as boxes and half-spaces."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from verifier.formats import vnnlib
from verifier.formats.errors import InputError
from verifier.formats.vnnlib import Case, Property, parse_property, read_property
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace


def declarations(inputs: int, outputs: int) -> str:
    return "\n".join([f"(declare-const X_{i} Real)" for i in range(inputs)]
                     + [f"(declare-const Y_{j} Real)" for j in range(outputs)]) + "\n"


def read(assertions: str, inputs: int = 2, outputs: int = 2) -> Property:
    return parse_property(declarations(inputs, outputs) + assertions)


def row(normal: Sequence[int], offset: Fraction | int | str, strict: bool = False) -> HalfSpace:
    return HalfSpace(tuple(map(Fraction, normal)), Fraction(offset), strict)


def box(*bounds: tuple[Fraction | int | str | None, Fraction | int | str | None]) -> Box:
    lower, upper = (tuple(None if v is None else Fraction(v) for v in side) for side in zip(*bounds, strict=True))
    return Box(lower, upper)


def test_decimals_are_the_rationals_they_spell() -> None:
    spelled = {"0.1": "1/10", "-0.30353115613746867": "-30353115613746867/100000000000000000", "1e-3": "1/1000",
               "2.5E+2": "250", "+.5": "1/2", "7.": "7", "1e0": "1", "-12.34e-2": "-617/5000", "000.10": "1/10",
               "0.1e1": "1", "1e-00000000000000000003": "1/1000"}
    for text, value in spelled.items():
        (case,) = read(f"(assert (<= X_0 {text}))").cases
        assert case.box.upper[0] == Fraction(value), text


def test_one_box_one_row() -> None:
    result = read("(assert (<= X_0 0.5)) (assert (>= X_0 -0.5)) (assert (<= 1 X_1)) (assert (>= 2 X_1))"
                  "(assert (<= Y_0 Y_1))")
    assert result.input_names == ("X_0", "X_1")
    assert result.output_names == ("Y_0", "Y_1")
    assert result.cases == (Case(box(("-1/2", "1/2"), (1, 2)), ((row([0, 0, 1, -1], 0),),)),)
    assert (result.unbounded, result.contradictory) == ((), False)


def test_rows_may_mix_inputs_and_outputs() -> None:
    (case,) = read("(assert (< (+ X_0 (* 2 X_1) (- Y_1) 3) (- Y_0 (/ X_0 4) 1)))").cases
    assert case.box == Box.whole_space(2)
    # x0 + 2 x1 - y1 + 3 < y0 - x0/4 - 1, times 4
    assert case.disjuncts == ((row([5, 8, -4, -4], -16, strict=True),),)


def test_bounds_are_found_after_linear_simplification() -> None:
    (case,) = read("(assert (<= (* 2 X_0) (+ 3 X_0 (- Y_0 Y_0)))) (assert (>= (/ X_1 -4) (- 0.5)))").cases
    assert case == Case(box((None, 3), (None, 2)), ((),))


def test_arithmetic_of_constants() -> None:
    (case,) = read("(assert (<= X_0 (/ 1 3))) (assert (>= X_0 (- (* 2 3 (+ 1 1)) 5 (/ 21 3 1)))) (assert (= X_1 (+ 2)))"
                   ).cases
    assert case.box == box((0, "1/3"), (2, 2))


def test_chained_comparisons_and_equality() -> None:
    (case,) = read("(assert (<= 0 X_0 1)) (assert (> 3 Y_0 Y_1 2)) (assert (= X_1 X_0))").cases
    assert case.box == box((0, 1), (None, None))
    assert set(case.disjuncts[0]) == {row([0, 0, 1, 0], 3, True), row([0, 0, -1, 1], 0, True),
                                      row([0, 0, 0, -1], -2, True), row([1, -1, 0, 0], 0), row([-1, 1, 0, 0], 0)}


def test_negations_are_pushed_down() -> None:
    (case,) = read("(assert (not (or (> X_0 1) (not (and (>= X_0 0) (<= Y_0 0))))))").cases
    assert case == Case(box((0, 1), (None, None)), ((row([0, 0, 1, 0], 0),),))
    (case,) = read("(assert (not (= Y_0 Y_1)))").cases
    assert case.disjuncts == ((row([0, 0, 1, -1], 0, True),), (row([0, 0, -1, 1], 0, True),))
    (case,) = read("(assert (not (<= 0 Y_0 1)))").cases
    assert case.disjuncts == ((row([0, 0, 1, 0], 0, True),), (row([0, 0, -1, 0], -1, True),))


@pytest.mark.parametrize(("relation", "opposite"), [("<=", ">"), ("<", ">="), (">=", "<"), (">", "<=")])
def test_the_negation_of_a_comparison_is_its_opposite(relation: str, opposite: str) -> None:
    assert (read(f"(assert (not ({relation} Y_0 X_0)))(assert (not ({relation} X_1 3)))").cases
            == read(f"(assert ({opposite} Y_0 X_0))(assert ({opposite} X_1 3))").cases)


def test_several_boxes_share_the_output_disjuncts() -> None:
    result = read("(assert (or (and (<= 0 X_0 1) (<= 0 X_1 1)) (and (<= 2 X_0 3) (<= 0 X_1 1))))"
                  "(assert (or (<= Y_0 Y_1) (and (<= Y_0 1))))")
    disjuncts = ((row([0, 0, 1, -1], 0),), (row([0, 0, 1, 0], 1),))
    assert result.cases == (Case(box((0, 1), (0, 1)), disjuncts), Case(box((2, 3), (0, 1)), disjuncts))


def test_equal_boxes_are_one_case_without_repeated_disjuncts() -> None:
    result = read("(assert (or (and (<= X_0 1) (<= Y_0 0)) (and (<= X_0 2) (<= Y_0 0)) (and (<= X_0 1) (>= Y_1 0))"
                  "            (and (<= (* 2 Y_0) 0) (<= X_0 1)) (and (<= Y_0 0) (<= Y_0 0) (<= Y_0 5) (<= X_0 1))))")
    assert result.cases == (Case(box((None, 1), (None, None)), ((row([0, 0, 1, 0], 0),), (row([0, 0, 0, -1], 0),))),
                            Case(box((None, 2), (None, None)), ((row([0, 0, 1, 0], 0),),)))


def test_strict_bound_closes_the_box_and_adds_a_row() -> None:
    (case,) = read("(assert (and (< X_0 1) (<= X_0 1) (> X_0 0) (>= X_1 0) (<= Y_0 0)))").cases
    assert case.box == box((0, 1), (0, None))
    assert set(case.disjuncts[0]) == {row([1, 0, 0, 0], 1, True), row([-1, 0, 0, 0], 0, True), row([0, 0, 1, 0], 0)}


def test_open_and_closed_box_are_one_case_with_two_disjuncts() -> None:
    (case,) = read("(assert (or (<= X_0 1) (< X_0 1)))").cases
    assert case.disjuncts == ((), (row([1, 0, 0, 0], 1, True),))


@pytest.mark.parametrize("assertion", [
    "(<= 1 X_0 0)", "(and (< X_0 1) (>= X_0 1))", "(and (= X_0 1) (= X_0 2))", "false", "(not true)", "(< 1 1)",
    "(not (<= 0.1 (/ 1 10)))", "(= X_0 (+ X_0 1))", "(and (<= Y_0 0) (> (* 2 Y_0) 0))",
    "(or (and (< X_0 0) (> X_0 0)) (and (<= (+ X_0 Y_0) 1) (>= (+ X_0 Y_0) 1.5)))"])
def test_contradictions_leave_no_case(assertion: str) -> None:
    result = read(f"(assert {assertion})")
    assert result.cases == ()
    assert result.contradictory
    assert result.queries(Network.from_arrays([[[1, 1], [1, 1]]], [[0, 0]])) == ()


def test_an_empty_disjunct_is_harmless() -> None:
    result = read("(assert (or (<= 1 X_0 0) (and (<= 0 X_0 0) (<= Y_0 0)) false))")
    assert result.cases == (Case(box((0, 0), (None, None)), ((row([0, 0, 1, 0], 0),),)),)
    assert not result.contradictory


def test_true_and_no_assertion_ask_for_any_point() -> None:
    for text in ("", "(assert true)", "(assert (or (<= 1 1) false))", "(assert (<= X_0 X_0))"):
        assert read(text).cases == (Case(Box.whole_space(2), ((),)),)


def test_unbounded_inputs_are_named() -> None:
    assert read("(assert (<= 0 X_1 1)) (assert (<= X_0 1))").unbounded == ("X_0",)
    assert read("(assert (or (and (<= 0 X_0 1) (<= 0 X_1 1)) (<= 0 X_0 1)))").unbounded == ("X_1",)


def test_declarations_in_any_order_and_form() -> None:
    result = parse_property("(declare-fun Y_1 () Real)(declare-const X_0 Real)(assert (<= Y_1 X_0))"
                            "(declare-fun Y_0 () Real)")
    assert result.output_names == ("Y_0", "Y_1")
    assert result.cases[0].disjuncts == ((row([-1, 0, 1], 0),),)


def test_harmless_commands_comments_and_line_ends() -> None:
    text = ('\ufeff; a comment (with parentheses\r\n(set-logic QF_LRA)\r\n(set-info :source |any ) "text|)\r\n'
            '(set-info :x (a (b ()) "quoted ) ; ""word"""))\r\n(set-option :produce-models true)\r\n'
            '(declare-const X_0 Real);end\r\n(declare-const Y_0 Real)\r\n(assert\r\n\t(<= X_0 ; here\r\n 1))\r\n'
            '(check-sat)(get-model)(get-value (X_0))(exit)\r\n   ')
    assert parse_property(text).cases == (Case(box((None, 1)), ((),)),)


def test_queries_hold_the_cases() -> None:
    network = Network.from_arrays([[[1, 2], [3, 4]], [[1, -1]]], [[0, 0], [0]])
    result = read("(assert (or (<= 0 X_0 1) (<= 5 X_0 6))) (assert (>= Y_0 1))", 2, 1)
    first, second = result.queries(network)
    assert (first.domain, first.disjuncts) == (result.cases[0].box, result.cases[0].disjuncts)
    assert second.satisfied_disjunct((Fraction(5), Fraction(0))) is None
    assert second.satisfied_disjunct((Fraction(5), Fraction(-5))) is None
    assert first.satisfied_disjunct((Fraction(1), Fraction(-2))) is None
    assert read("(assert (<= Y_0 -1))", 2, 1).queries(network)[0].satisfied_disjunct((Fraction(1), Fraction(0))) == 0


def test_queries_compare_the_numbers_of_inputs_and_outputs() -> None:
    network = Network.from_arrays([[[1, 2], [3, 4], [5, 6]]], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"^<text>: the property declares 3 inputs, the network has 2$"):
        read("", 3, 3).queries(network)
    with pytest.raises(InputError, match=r"^<text>: the property declares 1 output, the network has 3$"):
        read("", 2, 1).queries(network)


def test_files_plain_and_compressed(tmp_path: Path) -> None:
    data = (declarations(1, 1) + "(assert (<= X_0 0.1 Y_0))\n").encode()
    plain, packed = tmp_path / "p.vnnlib", tmp_path / "p.vnnlib.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    first, second = read_property(plain), read_property(str(packed))
    assert first.sha256 == second.sha256 == hashlib.sha256(data).hexdigest() == parse_property(data.decode()).sha256
    assert first.cases == second.cases
    assert (first.path, second.path) == (str(plain), str(packed))


def test_byte_order_mark_is_part_of_the_file_not_of_the_text(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + declarations(1, 1).encode()
    (tmp_path / "p.vnnlib").write_bytes(data)
    assert read_property(tmp_path / "p.vnnlib").sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("name", "data", "message"), [
    ("p.vnnlib", b"(declare-const X_0 Real)\n; \xc3\xa4 \xff",
     r"p\.vnnlib:2:5: UTF-8 text was required, received the byte 0xff"),
    ("p.vnnlib.gz", b"(declare-const X_0 Real)", r"p\.vnnlib\.gz: a complete gzip file was required: Not a gzipped"),
    ("p.vnnlib.gz", gzip.compress(bytes(range(256)) * 9)[:-20], r"a complete gzip file was required"),
    ("p.vnnlib.gz", gzip.compress(b"abc" * 99)[:12] + b"\xff" * 20, r"a complete gzip file was required"),
])
def test_unreadable_contents(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_property(tmp_path / name)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for name in ("missing.vnnlib", "missing.vnnlib.gz"):
        with pytest.raises(InputError, match=rf"{name}: a readable file was required: No such file"):
            read_property(tmp_path / name)
    with pytest.raises(InputError, match="a readable file was required: Is a directory"):
        read_property(tmp_path)
    with pytest.raises(InputError, match="a readable file was required: embedded null byte"):
        read_property("a\0b")


def test_decompression_stops_at_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vnnlib, "MAX_BYTES", 2**16)
    for name, data in (("bomb.vnnlib.gz", gzip.compress(b"\n" * 2**24)), ("long.vnnlib", b"\n" * (2**16 + 1))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: at most 65536 uncompressed bytes were required, received more"):
            read_property(tmp_path / name)


def data_folder() -> Path:
    folder = os.environ.get("VERIFIER_DATA")
    if folder is None:
        pytest.skip("the environment variable VERIFIER_DATA does not point to the benchmark families")
    return Path(folder)


@pytest.mark.parametrize("family", ["acasxu", "rl_benchmarks", "reach_prob_density"])
def test_benchmark_families(family: str) -> None:
    folder = data_folder() / family
    with (folder / "instances.csv").open() as file:
        names = sorted({line[1] for line in csv.reader(file)})
    assert names
    for name in names:
        result = read_property(folder / name)
        assert result.cases, name
        assert result.unbounded == (), name
        assert all(case.disjuncts for case in result.cases), name


def test_acas_xu_property_6_has_two_boxes() -> None:
    result = read_property(data_folder() / "acasxu/vnnlib/prop_6.vnnlib")
    assert [c.box.lower[1] for c in result.cases] == [Fraction("0.11140846"), Fraction("-0.499999896")]
    expected = tuple((row([0] * 5 + [-1] + [int(j == k) for j in range(1, 5)], 0),) for k in range(1, 5))
    assert [c.disjuncts for c in result.cases] == [expected, expected]
