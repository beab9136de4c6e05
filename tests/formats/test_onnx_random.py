"""Operators with random attributes, shapes and constants against onnxruntime, on small integers: equality.

What onnxruntime runs must be read as the same function, or refused with a sentence where the reader promises less; what
onnxruntime refuses may be read only where it refuses more than the standard does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from tests.formats.onnx_models import exact, load, model, node, require_same
from verifier.formats.errors import InputError

COUNT = 40
Rng = random.Random
Made = tuple[list[onnx.NodeProto], tuple[int, ...], dict[str, Any], int]


def shape_of(rng: Rng, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice((1, 2, 2, 3, 4)) for _ in range(rng.randint(least, most)))


def grid(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    return np.array([rng.randint(-3, 3) for _ in range(int(np.prod(shape)))], dtype=np.float32).reshape(shape)


def ints(values: Any) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def slices(rng: Rng) -> Made:
    shape = shape_of(rng, 1)
    axes = rng.sample(range(len(shape)), rng.randint(1, len(shape)))
    ends = [-(2**63), -(2**31), -9, -3, -2, -1, 0, 1, 2, 3, 4, 9, 2**31 - 1, 2**63 - 1]
    first, last = ([rng.choice(ends) for _ in axes] for _ in range(2))
    signed = [axis - rng.choice((0, len(shape))) for axis in axes]
    if rng.random() < 0.3:
        return [node("Slice", "x", starts=first, ends=last, axes=signed)], shape, {}, 9
    steps = [rng.choice((-5, -2, -1, 1, 1, 2, 7)) for _ in axes]
    return [node("Slice", "x a b c d")], shape, dict(zip("abcd", map(ints, (first, last, signed, steps)),
                                                         strict=True)), 13


def gathers(rng: Rng) -> Made:
    shape = shape_of(rng, 1)
    axis = rng.randrange(-len(shape), len(shape))
    size = shape[axis]
    indices = np.array([rng.randint(-size - (rng.random() < 0.02), size - 1) for _ in range(6)])
    return [node("Gather", "x i", axis=axis)], shape, {"i": ints(indices.reshape(
        rng.choice(((6,), (2, 3), (1, 6)))) if rng.random() < 0.8 else indices[0])}, 13


def squeezes(rng: Rng) -> Made:
    shape = tuple(rng.choice((1, 1, 2)) for _ in range(rng.randint(1, 4)))
    axes = rng.sample(range(len(shape)), rng.randint(1, len(shape)))
    ones = [a - rng.choice((0, len(shape))) for a in axes if shape[a] == 1 or rng.random() < 0.1]
    if not ones:
        return [node("Squeeze", "x")], shape, {}, 13
    return [node("Squeeze", "x a")], shape, {"a": ints(ones)}, 13


def unsqueezes(rng: Rng) -> Made:
    shape, more = shape_of(rng, 0, 3), rng.randint(1, 2)
    rank = len(shape) + more
    axes = [a - rng.choice((0, rank)) for a in rng.sample(range(rank), more)]
    return [node("Unsqueeze", "x a")], shape, {"a": ints(axes)}, 13


def reshapes(rng: Rng) -> Made:
    shape = shape_of(rng, 1)
    sizes = list(shape)
    rng.shuffle(sizes)
    if rng.random() < 0.5:
        sizes = [int(np.prod(sizes[:2])), *sizes[2:]]
    for place in range(len(sizes)):
        if rng.random() < 0.25 and place < len(shape):
            sizes[place] = 0
    if rng.random() < 0.6:
        sizes[rng.randrange(len(sizes))] = -1
    options = {} if rng.random() < 0.6 else {"allowzero": rng.randrange(2)}
    return [node("Reshape", "x s", **options)], shape, {"s": ints(sizes)}, 14


def transposes(rng: Rng) -> Made:
    shape = shape_of(rng)
    perm = {"perm": rng.sample(range(len(shape)), len(shape))} if shape and rng.random() < 0.7 else {}
    return [node("Transpose", "x", **perm)], shape, {}, 13


def concats(rng: Rng) -> Made:
    shape = shape_of(rng, 1)
    axis = rng.randrange(-len(shape), len(shape))
    other = list(shape)
    other[axis] = rng.randint(1, 3)
    names = [rng.choice(("x", "c")) for _ in range(rng.randint(1, 3))] + ["x"]
    return [node("Concat", " ".join(names), axis=axis)], shape, {"c": grid(rng, tuple(other))}, 13


def flattens(rng: Rng) -> Made:
    shape = shape_of(rng)
    return [node("Flatten", "x", axis=rng.randint(-len(shape), len(shape)))], shape, {}, 13


def gemms(rng: Rng) -> Made:
    m, k, n = (rng.randint(1, 3) for _ in range(3))
    a, b = rng.randrange(2), rng.randrange(2)
    left, right = ((k, m) if a else (m, k)), ((n, k) if b else (k, n))
    bias = rng.choice([(), (1,), (n,), (m, n), (1, n), (m, 1)])
    first = rng.random() < 0.6
    shape, constant = (left, right) if first else (right, left)
    inputs = ("x w" if first else "w x") + (" c" if rng.random() < 0.8 else "")
    return ([node("Gemm", inputs, transA=a, transB=b, alpha=rng.choice((1.0, 2.0, -0.5)),
                  beta=rng.choice((1.0, 0.0, 4.0)))], shape, {"w": grid(rng, constant), "c": grid(rng, bias)}, 13)


def matmuls(rng: Rng) -> Made:
    batch, k = shape_of(rng, 0, 2), rng.randint(1, 3)
    left = (*batch[rng.randint(0, len(batch)):], rng.randint(1, 3), k)
    right = (*batch, k, rng.randint(1, 3))
    left, right = left if rng.random() < 0.8 else (k,), right if rng.random() < 0.8 else (k,)
    first = rng.random() < 0.5
    shape, constant = (left, right) if first else (right, left)
    return [node("MatMul", "x w" if first else "w x")], shape, {"w": grid(rng, constant)}, 13


def elementwise(rng: Rng) -> Made:
    op = rng.choice(("Add", "Sub", "Mul", "Div"))
    shape = shape_of(rng)
    own, other = ([1 if rng.random() < 0.3 else size for size in shape] for _ in range(2))
    own, other = own[rng.randint(0, len(own)):], other[rng.randint(0, len(other)):]
    constant = np.where(grid(rng, tuple(other)) > 0, 2, -4) if op == "Div" else grid(rng, tuple(other))
    inputs = "c x" if op != "Div" and rng.random() < 0.5 else "x c"
    return [node(op, inputs)], tuple(own), {"c": constant.astype(np.float32)}, 13


def convolutions(rng: Rng) -> Made:
    rank, group = rng.randint(1, 2), rng.randint(1, 2)
    channels, filters = group * rng.randint(1, 2), group * rng.randint(1, 2)
    kernel = tuple(rng.randint(1, 3) for _ in range(rank))
    shape = (rng.randint(1, 2), channels, *(rng.randint(2, 6) for _ in range(rank)))
    options: dict[str, Any] = {"group": group, "strides": [rng.randint(1, 3) for _ in range(rank)]}
    if rng.random() < 0.5:
        options["kernel_shape"] = list(kernel)
    if rng.random() < 0.4:
        options["auto_pad"] = rng.choice(("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"))
    else:
        options["pads"] = [rng.randint(0, 2) for _ in range(2 * rank)]
    if options.get("auto_pad") not in ("SAME_UPPER", "SAME_LOWER") and rng.random() < 0.5:
        options["dilations"] = [rng.randint(1, 2) for _ in range(rank)]
    constants = {"w": grid(rng, (filters, channels // group, *kernel)), "b": grid(rng, (filters,))}
    return [node("Conv", rng.choice(("x w", "x w b")), **options)], shape, constants, 13


def shapes(rng: Rng) -> Made:
    shape = shape_of(rng, 1)
    ends = {name: rng.randint(-5, 5) for name in ("start", "end") if rng.random() < 0.7}
    return [node("Shape", "x", "s", **ends), node("ConstantOfShape", "s", "o"), node("Flatten", "o", "f", axis=0),
            node("Flatten", "x", "g", axis=0), node("Concat", "f g", axis=1)], shape, {}, 15


def casts(rng: Rng) -> Made:
    """Constants whose casts round, truncate and wrap."""
    values = [0, 1, -1, 0.5, -1.75, 2.5, 1 / 3, 65504, 65519, 2**24 + 1, 2**31 - 1, -(2**31), 2**31 + 5, 1e-8]
    kind = rng.choice((np.float16, np.float32, np.float64, np.int32, np.int64, np.bool_))
    small = [v for v in values if abs(v) < 65505 or kind in (np.float64, np.float32, np.int64)]
    constant = np.array([rng.choice(small) for _ in range(4)]).astype(kind)
    if kind == np.float64:  # the models' helper takes them for float32
        constant = constant.astype(np.float32)
    to = rng.choice((TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64))
    return [node("Cast", "c", "a", to=to), node("Cast", "a", "b", to=TensorProto.FLOAT),
            node("Mul", "x z", "o"), node("Add", "o b")], (4,), {"c": constant, "z": np.zeros(4)}, 13


MAKERS = [slices, gathers, squeezes, unsqueezes, reshapes, transposes, concats, flattens, gemms, matmuls, elementwise,
          convolutions, shapes, casts]


LESS = ("an end that has one meaning", "out of the range of", "received fractions", "a floating-point constant is ")
"""Refusals of what onnxruntime runs."""


def runs(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray | None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {"x": x})[0])
    except Exception:
        return None


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_random_attributes(make: Callable[[Rng], Made], tmp_path: Path) -> None:
    rng, told = Rng(make.__name__), Counter[str]()
    for _ in range(COUNT):
        nodes, shape, constants, opset = make(rng)
        used = {name for n in nodes for name in n.input}
        proto = model(nodes, shape, {k: v for k, v in constants.items() if k in used}, opset=opset)
        x = grid(rng, shape)
        y = runs(proto, x)
        try:
            loaded = load(tmp_path, proto)
        except InputError as error:
            told["refused by both" if y is None else "refused"] += 1
            if y is not None and y.size and not any(word in str(error) for word in LESS):
                raise AssertionError(f"{nodes} {shape} {constants}: {error}") from error
            continue
        assert y is not None, (nodes, shape, constants)
        assert y.shape == loaded.output_shape, (nodes, shape, constants)
        assert [float(v) for v in exact(loaded, x)] == y.ravel().tolist(), (nodes, shape, constants)
        told["equal"] += 1
    assert told["equal"] > COUNT // 6, told


def test_a_slice_backwards_is_clamped_as_the_standard_has_it(tmp_path: Path) -> None:
    """From before the beginning backwards means the first element, where Python has none."""
    constants = dict(zip("abcd", map(ints, ([-9], [-(2**63)], [0], [-1])), strict=True))
    loaded = load(tmp_path, model([node("Slice", "x a b c d")], (3,), constants))
    assert loaded.output_shape == (1,)
    require_same(loaded)
    for end in (2**31 - 1, 2**63 - 1):
        with pytest.raises(InputError, match="an end that has one meaning is required"):
            load(tmp_path, model([node("Slice", "x a b c d")], (3,), {**constants, "b": ints([end])}))
