"""Every operator and attribute against onnxruntime, on small integers, where float32 does not round: equality."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.formats.onnx_models import exact, load, model, node, require_close, require_same
from verifier.formats.errors import InputError
from verifier.formats.onnx_operators import OPERATORS


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def grid(*shape: int) -> np.ndarray:
    """Small integers, zero among them, that differ from place to place."""
    return (np.arange(np.prod(shape)) * 5 % 7 - 3).astype(np.float32).reshape(shape)


@dataclass
class Case:
    nodes: list[onnx.NodeProto]
    shape: tuple[int, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    opset: int = 13


def one(op: str, inputs: str, shape: tuple[int, ...], constants: dict[str, Any] | None = None, opset: int = 13,
        **attributes: Any) -> Case:
    return Case([node(op, inputs, **attributes)], shape, constants or {}, opset)


TENSOR = numpy_helper.from_array(grid(2, 3))

CASES = {
    # Arithmetic
    "add vector": one("Add", "x c", (2, 3), {"c": grid(3)}),
    "add to constant": one("Add", "c x", (2, 1), {"c": grid(1, 3)}),
    "add scalar": one("Add", "x c", (2, 3), {"c": np.float32(3)}),
    "add itself": one("Add", "x x", (2, 3)),
    "add broadcast activations": Case([node("Transpose", "x", "t"), node("Add", "x t")], (1, 3)),
    "sub": one("Sub", "x c", (2, 3), {"c": grid(2, 1)}),
    "sub from constant": one("Sub", "c x", (2, 3), {"c": grid(2, 3)}),
    "sub itself": one("Sub", "x x", (2, 3)),
    "mul": one("Mul", "x c", (2, 3), {"c": grid(3)}),
    "mul constant first": one("Mul", "c x", (3,), {"c": grid(2, 3)}),
    "div": one("Div", "x c", (2, 3), {"c": np.float32([2, -4, 0.5])}),
    "neg": one("Neg", "x", (2, 3)),
    "matmul": one("MatMul", "x c", (2, 3), {"c": grid(3, 4)}),
    "matmul constant first": one("MatMul", "c x", (3, 2), {"c": grid(4, 3)}),
    "matmul vector": one("MatMul", "x c", (2, 3), {"c": grid(3)}),
    "matmul of vector": one("MatMul", "x c", (3,), {"c": grid(3, 4)}),
    "matmul vector first": one("MatMul", "c x", (3, 2), {"c": grid(3)}),
    "matmul by vector": one("MatMul", "c x", (3,), {"c": grid(4, 3)}),
    "matmul inner": one("MatMul", "x c", (3,), {"c": grid(3)}),
    "matmul batches": one("MatMul", "x c", (2, 1, 2, 3), {"c": grid(2, 3, 2)}),
    "matmul batches constant first": one("MatMul", "c x", (2, 3, 2), {"c": grid(2, 1, 2, 3)}),
    "matmul twice": Case([node("MatMul", "x c", "t"), node("MatMul", "t d")], (2, 3),
                         {"c": grid(3, 4), "d": grid(4, 2)}),
    "gemm": one("Gemm", "x w b", (1, 3), {"w": grid(3, 2), "b": grid(2)}),
    "gemm no bias": one("Gemm", "x w", (2, 3), {"w": grid(3, 2)}),
    "gemm opset 7": one("Gemm", "x w b", (1, 3), {"w": grid(3, 2), "b": grid(1, 2)}, 7),
    "gemm opset 9": one("Gemm", "x w b", (1, 3), {"w": grid(2, 3), "b": np.float32(2)}, 9, transB=1),
    "gemm all": one("Gemm", "x w b", (3, 2), {"w": grid(4, 3), "b": grid(2, 1)}, alpha=0.5, beta=-2.0, transA=1,
                    transB=1),
    "gemm constant first": one("Gemm", "w x b", (3, 2), {"w": grid(4, 3), "b": grid(2)}),
    "gemm adds input": one("Gemm", "w v x", (1, 2), {"w": grid(3, 3), "v": grid(3, 2)}, beta=2.0),
    "conv": one("Conv", "x w b", (1, 2, 5, 4), {"w": grid(3, 2, 3, 2), "b": grid(3)}),
    "conv stride pads": one("Conv", "x w", (1, 2, 5, 4), {"w": grid(3, 2, 3, 2)}, strides=[2, 1], pads=[1, 0, 2, 1],
                            kernel_shape=[3, 2]),
    "conv dilations group": one("Conv", "x w b", (2, 4, 5, 6), {"w": grid(6, 2, 2, 2), "b": grid(6)}, group=2,
                                dilations=[2, 3]),
    "conv depthwise": one("Conv", "x w", (1, 3, 4, 4), {"w": grid(3, 1, 2, 2)}, group=3),
    "conv 1-D": one("Conv", "x w b", (1, 2, 7), {"w": grid(3, 2, 3), "b": grid(3)}, strides=[2], pads=[1, 1]),
    "conv same upper": one("Conv", "x w", (1, 1, 5, 4), {"w": grid(2, 1, 2, 3)}, auto_pad="SAME_UPPER", strides=[2, 1]),
    "conv same lower": one("Conv", "x w", (1, 1, 5, 4), {"w": grid(2, 1, 2, 3)}, auto_pad="SAME_LOWER", strides=[1, 3]),
    "conv valid": one("Conv", "x w", (1, 1, 5, 4), {"w": grid(2, 1, 2, 3)}, auto_pad="VALID", strides=[2, 1]),
    "conv twice": Case([node("Conv", "x w", "t", pads=[1, 1, 1, 1]), node("Conv", "t v b")], (1, 1, 3, 3),
                       {"w": grid(2, 1, 3, 3), "v": grid(1, 2, 2, 2), "b": grid(1)}),
    "conv of shifted input": Case([node("Add", "x c", "t"), node("Conv", "t w", pads=[1, 1, 1, 1])], (1, 1, 3, 3),
                                  {"c": np.float32(5), "w": grid(1, 1, 3, 3)}),
    # Activations
    "relu": one("Relu", "x", (2, 3)),
    "relu of constant": Case([node("Relu", "c", "t"), node("Add", "x t")], (3,), {"c": grid(3)}),
    "leaky relu": one("LeakyRelu", "x", (2, 3), alpha=0.25),
    "leaky relu negative": one("LeakyRelu", "x", (2, 3), alpha=-1.0),
    "leaky relu of constant": Case([node("LeakyRelu", "c", "t", alpha=0.5), node("Add", "x t")], (3,), {"c": grid(3)}),
    # Shapes
    "identity": one("Identity", "x", (2, 3)),
    "dropout 7": one("Dropout", "x", (2, 3), opset=7, ratio=0.25),
    "dropout 13": one("Dropout", "x r t", (2, 3), {"r": np.float32(0.5), "t": np.array(False)}, seed=3),
    "dropout mask": Case([node("Dropout", "x", "y m")], (2, 3), opset=9),
    "cast constant": Case([node("Cast", "c", "t", to=TensorProto.FLOAT), node("Mul", "x t")], (3,),
                          {"c": ints(1, -2, 3)}),
    "cast to indices": Case([node("Cast", "c", "t", to=TensorProto.INT64), node("Gather", "x t")], (3,),
                            {"c": np.float32([2, 0.5])}),
    "flatten": one("Flatten", "x", (2, 3, 2)),
    "flatten 0": one("Flatten", "x", (2, 3, 2), axis=0),
    "flatten -1": one("Flatten", "x", (2, 3, 2), axis=-1),
    "flatten end": one("Flatten", "x", (2, 3, 2), axis=3),
    "reshape": one("Reshape", "x s", (2, 3, 2), {"s": ints(0, -1)}),
    "reshape from node": Case([node("Constant", "", "s", value_ints=[3, -1]), node("Reshape", "x s")], (2, 3, 2)),
    "reshape 5": one("Reshape", "x s", (2, 3), {"s": ints(3, 2)}, 7),
    "reshape allowzero": one("Reshape", "x s", (2, 3), {"s": ints(3, 2)}, 14, allowzero=1),
    "transpose": one("Transpose", "x", (2, 3, 4)),
    "transpose perm": one("Transpose", "x", (2, 3, 4), perm=[1, 2, 0]),
    "transposed weight": Case([node("Transpose", "w", "t"), node("MatMul", "x t")], (1, 3), {"w": grid(2, 3)}),
    "squeeze": one("Squeeze", "x", (1, 3, 1)),
    "squeeze axes attribute": one("Squeeze", "x", (1, 3, 1), opset=11, axes=[-1]),
    "squeeze axes input": one("Squeeze", "x a", (1, 3, 1), {"a": ints(0)}),
    "unsqueeze attribute": one("Unsqueeze", "x", (2, 3), opset=11, axes=[0, 3]),
    "unsqueeze input": one("Unsqueeze", "x a", (2, 3), {"a": ints(-1, 1)}),
    "concat": one("Concat", "x c x", (2, 2), {"c": grid(2, 3)}, axis=1),
    "concat negative": Case([node("Relu", "x", "t"), node("Concat", "t x", axis=-2)], (2, 2)),
    "concat constants": Case([node("Concat", "c c", "t", axis=0), node("Add", "x t")], (4,), {"c": grid(2)}),
    "concat matrix": Case([node("MatMul", "x c", "t"), node("Concat", "t x", axis=1)], (1, 3), {"c": grid(3, 2)}),
    "sum over concat": Case([node("Concat", "x x", "t", axis=1), node("MatMul", "t c")], (1, 3), {"c": grid(6, 2)}),
    "slice attributes": one("Slice", "x", (4, 5), opset=9, starts=[1, -3], ends=[100, -1], axes=[0, 1]),
    "slice attributes no axes": one("Slice", "x", (4, 5), opset=9, starts=[1], ends=[3]),
    "slice inputs": one("Slice", "x s e a t", (4, 5),
                        {"s": ints(-1, 0), "e": ints(-(2**63), 5), "a": ints(1, 0), "t": ints(-2, 3)}),
    "slice no axes": one("Slice", "x s e", (4, 5), {"s": ints(1), "e": ints(2**63 - 1)}),
    "slice steps only": one("Slice", "x s e _ t", (4, 5), {"s": ints(3, 4), "e": ints(0, 0), "t": ints(-1, -1)}),
    "gather": one("Gather", "x i", (2, 3), {"i": np.array([[2, 0], [0, -1]])}, axis=1),
    "gather scalar": one("Gather", "x i", (2, 3), {"i": np.array(1)}),
    "gather int32": one("Gather", "x i", (2, 3), {"i": np.array([1, 1], dtype=np.int32)}),
    "gathered twice into sum": Case([node("Gather", "x i", "t"), node("MatMul", "c t")], (2, 3),
                                    {"i": ints(0, 0, 1), "c": grid(2, 3)}),
    # Constants
    "constant tensor": Case([node("Constant", "", "c", value=TENSOR), node("Add", "x c")], (2, 3)),
    "constant float": Case([node("Constant", "", "c", value_float=1.5), node("Add", "x c")], (2, 3)),
    "constant floats": Case([node("Constant", "", "c", value_floats=[1.0, 2.0, 3.0]), node("Add", "x c")], (2, 3)),
    "constant int": Case([node("Constant", "", "c", value_int=1), node("Gather", "x c")], (2, 3)),
    "constant of shape": Case([node("ConstantOfShape", "s", "c"), node("Concat", "x c", axis=0)], (2, 3),
                              {"s": ints(2, 3)}),
    "constant of shape value": Case([node("ConstantOfShape", "s", "c", value=numpy_helper.from_array(np.float32([4]))),
                                     node("Add", "x c")], (2, 3), {"s": ints(3)}),
    "shape": Case([node("Shape", "x", "s"), node("Gather", "s i", "n"), node("Mul", "n k", "m"),
                   node("Neg", "one", "minus"), node("Concat", "m minus", "t", axis=0), node("Reshape", "x t")],
                  (2, 3, 4), {"i": ints(1), "k": ints(2), "one": ints(1)}),
    "shape part": Case([node("Shape", "x", "s", start=1, end=-1), node("ConstantOfShape", "s", "c"),
                        node("Add", "x c")], (2, 1, 3), opset=15),
    "constant arithmetic": Case([node("Add", "c d", "a"), node("Sub", "a d", "b"), node("Mul", "b d", "e"),
                                 node("MatMul", "e m", "f"), node("Neg", "f", "g"), node("Add", "x g")], (2,),
                                {"c": grid(3), "d": grid(3) * 2, "m": grid(3, 2)}),
}


@pytest.mark.parametrize("name", CASES)
def test_operator_equals_onnxruntime(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    loaded = load(tmp_path, model(case.nodes, case.shape, case.constants, opset=case.opset))
    assert loaded.input_shape == case.shape
    require_same(loaded)


def test_every_operator_has_a_case() -> None:
    used = {entry.op_type for case in CASES.values() for entry in case.nodes}
    assert used == set(OPERATORS)


def test_cast_of_an_activation_is_the_identity_over_the_reals(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("Cast", "x", "t", to=TensorProto.FLOAT16),
                                   node("Cast", "t", to=TensorProto.FLOAT)], (2,)))
    assert exact(loaded, np.array([2.0**-30, 1 + 2.0**-20])) == [Fraction(1, 2**30), 1 + Fraction(1, 2**20)]


def test_cast_of_a_constant_rounds(tmp_path: Path) -> None:
    constants = {"c": np.array([2 + 2.0**-40, 1], dtype=">f8")}  # big-endian: kept as float64 by the builder
    loaded = load(tmp_path, model([node("Cast", "c", "t", to=TensorProto.FLOAT), node("Add", "x t")], (2,), constants))
    assert exact(loaded, np.zeros(2)) == [2, 1]


@pytest.mark.parametrize(("opset", "attributes"), [(6, {"broadcast": 1, "axis": 1}), (6, {"broadcast": 1, "axis": -2})])
def test_broadcast_before_version_7(tmp_path: Path, opset: int, attributes: dict[str, int]) -> None:
    loaded = load(tmp_path, model([node("Sub", "x c", **attributes)], (2, 3, 1), {"c": grid(3)}, opset=opset))
    x = grid(2, 3, 1)
    assert exact(loaded, x) == (x - grid(3).reshape(3, 1)).ravel().tolist()


def test_reshape_by_attribute_in_version_1(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("Reshape", "x", shape=[0, -1])], (2, 3, 1), opset=4))
    assert loaded.output_shape == (2, 3)


def test_division_is_exact(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("Div", "x c", "t"), node("MatMul", "t w")], (1, 2),
                                  {"c": np.float32([3, -7]), "w": np.float32([[1], [2]])}))
    assert exact(loaded, np.array([1.0, 1.0])) == [Fraction(1, 3) - Fraction(2, 7)]
    assert len(loaded.network.layers) == 1


def test_division_of_constants_is_exact(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("Div", "c d", "t"), node("Div", "t d", "u"), node("Mul", "x u", "v"),
                                   node("Mul", "v u", "w"), node("Add", "w x", "z"), node("MatMul", "z m")], (1, 2),
                                  {"c": np.float32([1, 2]), "d": np.float32([3, 5]), "m": np.float32([[1], [1]])}))
    assert exact(loaded, np.array([1.0, 1.0])) == [1 + Fraction(1, 81) + 1 + Fraction(4, 625)]


def test_many_denominators_do_not_meet_in_one_row(tmp_path: Path) -> None:
    divisors = np.arange(1, 401, 2).astype(np.float32)
    loaded = load(tmp_path, model([node("Div", "x c", "t"), node("MatMul", "t w")], (1, 200),
                                  {"c": divisors, "w": np.ones((200, 1), dtype=np.float32)}))
    assert exact(loaded, np.ones(200)) == [sum(Fraction(1, int(v)) for v in divisors)]
    assert max(max(layer.weight.row_integers()[1]) for layer in loaded.network.layers) < 2**256


def test_leaky_slope_is_the_float32_attribute(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("LeakyRelu", "x")], (1,)))
    assert exact(loaded, np.array([-1.0])) == [-Fraction(float(np.float32(0.01)))]


@pytest.mark.parametrize("shape", [(1, 6), (1, 1, 2, 3)])
def test_random_weights_agree_within_rounding(tmp_path: Path, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    loaded = load(tmp_path, model(
        [node("Sub", "x m", "t"), node("Div", "t s", "u"), node("Reshape", "u flat", "f"),
         node("Gemm", "f w b", "g", alpha=0.3, beta=1.7), node("LeakyRelu", "g", "h", alpha=0.1),
         node("MatMul", "h v", "i"), node("MatMul", "i v", "j"), node("Add", "j f", "k"), node("Mul", "k s"),
         ], shape,
        {"m": rng.standard_normal(1), "s": rng.standard_normal(1) + 3, "flat": ints(1, 6),
         "w": rng.standard_normal((6, 6)), "b": rng.standard_normal(6), "v": rng.standard_normal((6, 6))}))
    require_close(loaded)


@pytest.mark.parametrize(("number", "dtype"), [(TensorProto.DOUBLE, np.float64), (TensorProto.FLOAT16, np.float16)])
def test_weights_of_other_widths_are_exact(tmp_path: Path, number: int, dtype: type) -> None:
    weight = np.array([[0.1], [1e-3]]).astype(dtype)
    loaded = load(tmp_path, model([node("MatMul", "x w")], (1, 2), {"w": weight.astype(weight.dtype.newbyteorder(">"))},
                                  element_type=number))
    assert [row[0] for row in (loaded.network.layers[0].weight.row(0)[i:] for i in range(2))] == [
        Fraction(float(v)) for v in weight.ravel()]


def test_bfloat16_weights_are_exact(tmp_path: Path) -> None:
    proto = model([node("MatMul", "x w")], (1, 2), element_type=TensorProto.BFLOAT16)
    proto.graph.initializer.append(helper.make_tensor("w", TensorProto.BFLOAT16, [2, 1], [0.1, -3.0]))
    assert load(tmp_path, proto).network.layers[0].weight.row(0) == (Fraction(205, 2048), -3)


ERRORS = {
    "two activations": (one("Mul", "x x", (2,)), "one factor must be a constant"),
    "two activations in a product": (one("MatMul", "x x", (2, 2)), "one factor must be a constant"),
    "inner dimensions": (one("MatMul", "x c", (2, 3), {"c": grid(2, 3)}), "matching inner dimensions"),
    "scalar product": (one("MatMul", "x c", (2, 3), {"c": np.float32(1)}), "received a scalar"),
    "broadcast": (one("Add", "x c", (2, 3), {"c": grid(2)}), r"shapes \[\(2, 3\), \(2,\)\]"),
    "zero divisor": (one("Div", "x c", (2,), {"c": grid(2) * 0}), "must not be zero"),
    "divisor": (one("Div", "c x", (2,), {"c": grid(2)}), "divisor must be a constant"),
    "integers": (one("Add", "x c", (2,), {"c": ints(1, 2)}), "floating-point constant is required, received int64"),
    "gemm rank": (one("Gemm", "x w", (3,), {"w": grid(3, 2)}), "two matrices are required"),
    "gemm bias": (one("Gemm", "x w b", (1, 3), {"w": grid(3, 2), "b": grid(5, 2)}), "malformed"),
    "conv weight": (one("Conv", "w x", (1, 1, 2, 2), {"w": grid(1, 1, 3, 3)}), "weight must be a constant"),
    "conv rank": (one("Conv", "x w", (1, 2), {"w": grid(1, 2)}), "equal rank"),
    "conv channels": (one("Conv", "x w", (1, 3, 4, 4), {"w": grid(2, 2, 2, 2)}), "received 3 channels and 2 filters"),
    "conv kernel": (one("Conv", "x w", (1, 2, 4, 4), {"w": grid(2, 2, 2, 2)}, kernel_shape=[2, 3]), "kernel_shape"),
    "conv bias": (one("Conv", "x w b", (1, 2, 4, 4), {"w": grid(2, 2, 2, 2), "b": grid(3)}), "one number a channel"),
    "conv strides": (one("Conv", "x w", (1, 2, 4, 4), {"w": grid(2, 2, 2, 2)}, strides=[1, 0]), "strides needs 2"),
    "conv pads": (one("Conv", "x w", (1, 2, 4, 4), {"w": grid(2, 2, 2, 2)}, pads=[1, -1, 0, 0]), "pads needs 4"),
    "conv pads and auto": (one("Conv", "x w", (1, 2, 4, 4), {"w": grid(2, 2, 2, 2)}, pads=[1, 1, 0, 0],
                               auto_pad="VALID"), "together with auto_pad"),
    "conv auto": (one("Conv", "x w", (1, 2, 4, 4), {"w": grid(2, 2, 2, 2)}, auto_pad="SOME"), "received 'SOME'"),
    "conv window": (one("Conv", "x w", (1, 2, 4, 4), {"w": grid(2, 2, 2, 5)}), "does not fit"),
    "conv padded far": (one("Conv", "x w", (1, 1, 1, 1), {"w": grid(1, 1, 1, 1)}, pads=[2**40] * 4), "elements"),
    "dropout trains": (one("Dropout", "x", (2,), opset=6), "inference mode"),
    "dropout trains by input": (one("Dropout", "x r t", (2,), {"r": np.float32(0.5), "t": np.array(True)}),
                                "inference mode"),
    "cast to integers": (one("Cast", "x", (2,), to=TensorProto.INT64), "floating-point numbers only, received INT64"),
    "cast to strings": (Case([node("Cast", "c", "t", to=TensorProto.STRING), node("Add", "x t")], (2,),
                             {"c": grid(2)}), "received STRING"),
    "cast out of range": (Case([node("Cast", "c", "t", to=TensorProto.INT32), node("Gather", "x t")], (2,),
                               {"c": np.float32([1e30])}), "out of the range of INT32"),
    "cast of fractions": (Case([node("Div", "c d", "t"), node("Cast", "t", "u", to=TensorProto.FLOAT16),
                                node("Add", "x u")], (2,), {"c": grid(1), "d": np.float32(7)}), "received fractions"),
    "flatten axis": (one("Flatten", "x", (2, 3), axis=4), "between -2 and 2"),
    "reshape size": (one("Reshape", "x s", (2, 3), {"s": ints(4, 2)}), "cannot reshape"),
    "reshape twice open": (one("Reshape", "x s", (2, 3), {"s": ints(-1, -1)}), "malformed"),
    "reshape negative": (one("Reshape", "x s", (2, 3), {"s": ints(-2, 3)}), "sizes, 0 and -1"),
    "reshape copies nothing": (one("Reshape", "x s", (6,), {"s": ints(6, 0)}), "none to copy"),
    "reshape by input": (one("Reshape", "x x", (2,)), "the shape must be a constant of integers"),
    "perm": (one("Transpose", "x", (2, 3), perm=[0, 0]), "malformed"),
    "squeeze": (one("Squeeze", "x a", (2, 3), {"a": ints(0)}), "malformed"),
    "unsqueeze": (one("Unsqueeze", "x a", (2, 3), {"a": ints(9)}), "malformed"),
    "concat axis": (one("Concat", "x x", (2, 3), axis=2), "an axis of a tensor with 2 dimensions"),
    "concat shapes": (one("Concat", "x c", (2, 3), {"c": grid(3, 3)}, axis=1), "malformed"),
    "slice lengths": (one("Slice", "x s e", (2, 3), {"s": ints(0, 0), "e": ints(1)}), "of one length"),
    "slice axes": (one("Slice", "x s e a", (2, 3), {"s": ints(0, 0), "e": ints(1, 1), "a": ints(1, -1)}), "different"),
    "slice step": (one("Slice", "x s e _ t", (2, 3), {"s": ints(0), "e": ints(1), "t": ints(0)}), "nonzero steps"),
    "slice without": (one("Slice", "x s", (2, 3), {"s": ints(0)}),
                      "3 to 5 inputs are required in version 13, received 2"),
    "gather range": (one("Gather", "x i", (2, 3), {"i": ints(2)}), "malformed"),
    "gather floats": (one("Gather", "x i", (2, 3), {"i": grid(2)}), "indices must be a constant of integers"),
    "nothing left": (Case([node("Slice", "x s s", "t"), node("Relu", "t")], (2, 3), {"s": ints(1)}), "nonempty"),
    "no constant": (Case([node("Constant", "", "c"), node("Add", "x c")], (2,)), "exactly one value"),
    "shape size": (Case([node("ConstantOfShape", "s", "c"), node("Add", "x c")], (2,), {"s": ints(-1)}), "negative"),
    "shape huge": (Case([node("ConstantOfShape", "s", "c"), node("Add", "x c")], (2,), {"s": ints(2**31, 2**31)}),
                   "at most 50000000"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_operator_refuses(name: str, tmp_path: Path) -> None:
    case, message = ERRORS[name]
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, model(case.nodes, case.shape, case.constants, opset=case.opset))
    assert str(tmp_path / "net.onnx") in str(caught.value)
    assert case.nodes[-1].op_type in str(caught.value) or case.nodes[-2].op_type in str(caught.value)
    assert "\n" not in str(caught.value)
