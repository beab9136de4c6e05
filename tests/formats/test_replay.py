"""Replays: the nearest floats go in, the floats that come out are taken exactly, and failures are told, not raised."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from verifier.formats.replay import Replay, float_within, nearest_float, replay
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query

WEIGHT = np.array([[1.0, -2.0], [0.5, 0.25], [-1.0, 1.0]])
BIAS = np.array([0.5, -0.25, 0.0])


def model(shape: Sequence[int | str | None], data_type: int = TensorProto.FLOAT, outputs: Sequence[str] = ("y",),
          weight: Any = WEIGHT) -> bytes:
    dtype = helper.tensor_dtype_to_np_dtype(data_type)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["z"], transB=1), helper.make_node("Relu", ["z"], ["y"]),
             helper.make_node("Neg", ["y"], ["n"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", data_type, shape)],
        [helper.make_tensor_value_info(name, data_type, ["batch", 3]) for name in outputs],
        [numpy_helper.from_array(np.asarray(v).astype(dtype), name) for v, name in ((weight, "w"), (BIAS, "b"))])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(made.SerializeToString())


def point(*values: Fraction | int | str) -> tuple[Fraction, ...]:
    return tuple(map(Fraction, values))


@pytest.mark.parametrize("shape", [[1, 2], ["batch", 2], [None, 2]])
def test_replay_of_a_representable_point_is_exact(shape: list[int | str | None]) -> None:
    result = replay(model(shape), "x", shape, point("1/2", "1/4"))
    assert result == Replay(point("1/2", "1/4"), point("1/2", "1/16", 0), "float32", "")


def test_input_is_the_nearest_float_of_the_models_type() -> None:
    third = point("1/3", 0)
    for data_type, dtype in ((TensorProto.FLOAT, np.float32), (TensorProto.DOUBLE, np.float64)):
        result = replay(model([1, 2], data_type), "x", [1, 2], third)
        assert result.precision == dtype.__name__
        assert result.note == ""
        assert result.x == (Fraction(dtype(1 / 3).item()), 0)


def query(*half_spaces: HalfSpace, upper: Fraction | int = 1) -> Query:
    relu = Network.from_arrays([WEIGHT, np.eye(3)], [BIAS, np.zeros(3)])
    return Query(relu, Box.from_bounds([0, 0], [upper, 1]), (half_spaces,))


def test_satisfies_takes_box_and_rows_exactly() -> None:
    result = replay(model([1, 2]), "x", [1, 2], point("1/3", 0))
    assert result.x is not None
    assert result.y is not None
    used, output = result.x[0], result.y[0]
    assert used > Fraction(1, 3)
    assert output > used + Fraction(1, 2)
    first_output = point(0, 0, 1, 0, 0)
    assert result.satisfies(query(HalfSpace(first_output, output)))
    assert not result.satisfies(query(HalfSpace(first_output, output, strict=True)))
    assert not result.satisfies(query(HalfSpace(first_output, used + Fraction(1, 2))))
    assert result.satisfies(query(upper=used))
    assert not result.satisfies(query(upper=Fraction(1, 3)))
    assert not result.satisfies(Query(query().network, query().domain, ()))


def test_satisfies_looks_at_the_floats_not_at_the_real_network() -> None:
    # In float32 1 + 1e-9 is 1, so the output stays at 2 where the real network exceeds it.
    weight = [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]
    x = (Fraction(1), Fraction(np.float32(1e-9).item()))
    result = replay(model([1, 2], weight=weight), "x", [1, 2], x)
    real = Network.from_arrays([np.array(weight), np.eye(3)], [BIAS, np.zeros(3)])
    above = Query(real, Box.from_bounds([0, 0], [1, 1]), ((HalfSpace(point(0, 0, -1, 0, 0), Fraction(-3, 2), True),),))
    assert above.satisfied_disjunct(x) == 0
    assert result.x == x
    assert not result.satisfies(above)


@pytest.mark.parametrize(("arguments", "note"), [
    ((model([1, 2]), "x", [1, 3], point(1, 1)), "not replayed: the model's input of shape [1, 3] takes 3 numbers, the "
                                                "counterexample has 2"),
    ((model([1, 2]), "input", [1, 2], point(1, 1)), "not replayed: a floating-point input 'input' was required, the "
                                                    "model's inputs are x of type tensor(float)"),
    ((model([1, 2], outputs=["y", "n"]), "x", [1, 2], point(1, 1)), "not replayed: one output was required, the model "
                                                                    "has 2"),
    ((model([1, 2]), "x", [1, 2], point(10**40, 1)), "not replayed: an input of the counterexample is too large for "
                                                     "float32"),
    ((model([1, 2]), "x", [1, 2], point(-10**400, 1)), "not replayed: an input of the counterexample is too large for "
                                                       "float32"),
    ((model([1, 2]), "x", [1, 2], point(3 * 10**38, -3 * 10**38)), "the float32 run gives outputs that are not finite"),
])
def test_what_prevents_a_replay_is_told(arguments: Any, note: str) -> None:
    result = replay(*arguments)
    assert result.note == note
    assert result.y is None
    assert not result.satisfies(query())


def test_a_broken_model_is_told_silently(capfd: pytest.CaptureFixture[str]) -> None:
    for broken in (b"", b"not a model", model([1, 2])[:-7]):
        result = replay(broken, "x", [1, 2], point(1, 1))
        assert result.note.startswith("not replayed: onnxruntime failed (")
        assert "\n" not in result.note
    flawed = onnx.load_model_from_string(model([1, "n"]))
    assert replay(flawed.SerializeToString(), "x", [1, 3], point(1, 1, 1)).note.startswith("not replayed: onnxruntime")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_without_onnxruntime_the_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = replay(model([1, 2]), "x", [1, 2], point(1, 1))
    assert result.note.startswith("not replayed: onnxruntime cannot be imported")


def test_rounding_is_not_done_twice() -> None:
    # Above the middle of two float32 numbers, but rounded to that middle in binary64, whose even neighbour is lower.
    middle = Fraction(1) + Fraction(1, 2**24)
    value = middle + Fraction(1, 2**70)
    assert np.float32(float(value)) == 1
    assert Fraction(nearest_float(value, np.float32).item()) == 1 + Fraction(1, 2**23)
    assert nearest_float(middle, np.float32) == 1
    assert Fraction(nearest_float(middle + Fraction(1, 2**23), np.float32).item()) == 1 + Fraction(1, 2**22)


@given(st.fractions(-10**39, 10**39) | st.fractions(-1, 1).map(lambda v: v * Fraction(1, 2**125)))
def test_no_float32_is_nearer(value: Fraction) -> None:
    found = nearest_float(value, np.float32)
    if not np.isfinite(found):
        assert abs(value) > Fraction(np.finfo(np.float32).max.item())
        return
    distance = abs(Fraction(found.item()) - value)
    for direction in (np.inf, -np.inf):
        with np.errstate(all="ignore"):
            neighbour = np.nextafter(found, np.float32(direction))
        assert not np.isfinite(neighbour) or abs(Fraction(neighbour.item()) - value) >= distance


def test_the_float_is_taken_inside_the_box_where_one_is() -> None:
    tenth = Fraction(1, 10)
    above = Fraction(np.float32(0.1).item())
    below = Fraction(np.nextafter(np.float32(0.1), np.float32(0)).item())
    assert below < tenth < above
    assert above - tenth < tenth - below
    result = replay(model([1, 2]), "x", [1, 2], (tenth, tenth), Box.from_bounds([0, tenth], [tenth, 1]))
    assert result.x == (below, above)
    result = replay(model([1, 2]), "x", [1, 2], (tenth, tenth), Box.from_bounds([tenth, tenth], [tenth, tenth]))
    assert result.x == (above, above)


@given(st.fractions(-10, 10), st.fractions(0, 1).map(lambda v: v**8), st.fractions(0, 1).map(lambda v: v**8))
def test_a_float_within_is_within(value: Fraction, left: Fraction, right: Fraction) -> None:
    found = Fraction(float_within(value, np.float32, value - left, value + right).item())
    above = Fraction(np.nextafter(np.float32(float(value - left)), np.float32(-np.inf)).item())
    candidates = []
    while above <= value + right and len(candidates) < 5:
        if above >= value - left:
            candidates.append(above)
        above = Fraction(np.nextafter(np.float32(above), np.float32(np.inf)).item())
    if candidates:
        assert value - left <= found <= value + right
    else:
        assert found == Fraction(nearest_float(value, np.float32).item())


def test_whether_only_the_rounded_input_is_wrong() -> None:
    result = replay(model([1, 2]), "x", [1, 2], point("1/3", 0), Box.from_bounds([0, 0], [Fraction(1, 3)] * 2))
    assert result.x is not None
    assert result.x[0] < Fraction(1, 3)
    first_output, first_input = point(0, 0, 1, 0, 0), point(1, 0, 0, 0, 0)
    outside = query(HalfSpace(first_output, Fraction(2)), HalfSpace(first_input, Fraction(1, 4)))
    assert not result.satisfies(outside)
    assert result.satisfies(outside, outputs_only=True)
    assert result.satisfies(query(HalfSpace(first_output, Fraction(2)), upper=Fraction(1, 4)), outputs_only=True)
    assert not result.satisfies(query(HalfSpace(first_output, Fraction(0)), upper=Fraction(1, 4)), outputs_only=True)
