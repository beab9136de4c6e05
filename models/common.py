"""What the scripts of this folder share: writing networks and properties, and training a small perceptron.

Theory.  A network here is a multilayer perceptron ``x -> W_k relu(... relu(W_1 x + b_1) ...) + b_k`` whose float32
weights are exact dyadic rationals; the file, not the training run, is the definition of the function.  A property
file (VNN-LIB 1.0) states the *counterexample*: the property is violated exactly when some input satisfies every
assertion.  Bounds are written as decimal text, never as printed floats, so that a bound is the rational it spells.

Training is plain numpy: Adam on minibatches with a fixed seed, in binary64, rounded to float32 once at the end.
It is deterministic on one machine; another processor may sum a matrix product in another order and end elsewhere.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, checker, helper

FloatArray = npt.NDArray[np.float64]
Interval = tuple[str, str]
LossGradient = Callable[[FloatArray, FloatArray], FloatArray]


def network_bytes(name: str, weights: Sequence[npt.ArrayLike], biases: Sequence[npt.ArrayLike]) -> bytes:
    """An ONNX file (opset 13: Gemm, Relu) with input ``X`` of shape (1, inputs) and output ``Y``.

    Weight arrays have shape (units, inputs).  Raises ValueError when a number is not exactly a float32.
    """
    nodes, tensors, value = [], [], "X"
    for index, pair in enumerate(zip(weights, biases, strict=True), start=1):
        for letter, array in zip("Wb", pair, strict=True):
            exact = np.asarray(array, dtype=np.float64)
            stored = exact.astype("<f4")
            if not np.array_equal(stored.astype(np.float64), exact):
                raise ValueError(f"{name}: {letter}{index} has entries that are not float32 numbers")
            tensors.append(helper.make_tensor(f"{letter}{index}", TensorProto.FLOAT, exact.shape, stored.tobytes(),
                                              raw=True))
        last = index == len(weights)
        affine = "Y" if last else f"z{index}"
        nodes.append(helper.make_node("Gemm", [value, f"W{index}", f"b{index}"], [affine], name=f"affine{index}",
                                      transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [affine], [f"y{index}"], name=f"relu{index}"))
            value = f"y{index}"
    inputs, outputs = np.shape(weights[0])[1], np.shape(weights[-1])[0]
    graph = helper.make_graph(nodes, name,
                              [helper.make_tensor_value_info("X", TensorProto.FLOAT, [1, inputs])],
                              [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [1, outputs])], tensors)
    # Fixed format versions keep the bytes independent of the installed onnx.
    model = helper.make_model(graph, ir_version=7, opset_imports=[helper.make_opsetid("", 13)])
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def property_text(comment: str, outputs: int, boxes: Sequence[Sequence[Interval]],
                  counterexample: Sequence[Sequence[str]]) -> str:
    """A VNN-LIB 1.0 file: the input lies in one of ``boxes``, and all assertions of one disjunct of
    ``counterexample`` hold.

    A single box and a single disjunct are written as plain assertions, several as ``(or (and ...) ...)``.
    """
    boxed = [[f"({order} X_{i} {bound})" for i, interval in enumerate(box)
              for order, bound in zip((">=", "<="), interval, strict=True)] for box in boxes]
    lines = [f"; {line}" for line in comment.splitlines()] + [""]
    lines += [f"(declare-const X_{i} Real)" for i in range(len(boxes[0]))]
    lines += [f"(declare-const Y_{i} Real)" for i in range(outputs)]
    for disjuncts in (boxed, counterexample):
        lines.append("")
        if len(disjuncts) == 1:
            lines += [f"(assert {term})" for term in disjuncts[0]]
        else:
            lines += ["(assert (or", *(f"    (and {' '.join(terms)})" for terms in disjuncts), "))"]
    return "\n".join(lines) + "\n"


def write_files(networks: Mapping[str, bytes], properties: Mapping[str, str]) -> None:
    """Write the files into the folder named on the command line (by default the one of this script) and print their
    SHA-256 digests in the format of ``sha256sum``."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    files = {**networks, **{name: text.encode() for name, text in properties.items()}}
    for name, data in files.items():
        (folder / name).write_bytes(data)
        print(f"{hashlib.sha256(data).hexdigest()}  {name}")


def forward(weights: Sequence[FloatArray], biases: Sequence[FloatArray], x: FloatArray) -> list[FloatArray]:
    """The input, the output of every hidden layer and the output, for a batch ``x`` of shape (points, inputs)."""
    values = [x]
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        z = values[-1] @ weight.T + bias
        values.append(z if index == len(weights) - 1 else np.maximum(z, 0.0))
    return values


def train(widths: Sequence[int], features: FloatArray, targets: FloatArray, loss_gradient: LossGradient, *,
          seed: int, steps: int, batch: int = 512,
          rate: float = 5e-3) -> tuple[list[FloatArray], list[FloatArray]]:
    """Weights and biases (float32 numbers held in binary64) of a perceptron fitted with Adam.

    ``widths`` lists inputs, hidden layers and outputs; ``loss_gradient(outputs, targets)`` is the derivative of the
    loss of each point, shape (points, outputs).  The learning rate falls to zero along a half cosine.
    ``features`` has shape (points, inputs).
    """
    random = np.random.default_rng(seed)
    shapes = [(m, n) for n, m in pairwise(widths)]
    sizes = [m * n for m, n in shapes] + [m for m, _ in shapes]
    parameters = np.concatenate([random.normal(0.0, np.sqrt(2.0 / n), m * n) for m, n in shapes]
                                + [np.zeros(sum(widths[1:]))])
    # Views into the one parameter vector that Adam updates in place.
    parts = np.split(parameters, np.cumsum(sizes)[:-1])
    weights = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]
    biases = parts[len(shapes):]
    mean, square = np.zeros_like(parameters), np.zeros_like(parameters)
    for step in range(1, steps + 1):
        chosen = random.integers(0, len(features), batch)
        values = forward(weights, biases, features[chosen])
        backward = loss_gradient(values[-1], targets[chosen]) / batch
        weight_gradients: list[FloatArray] = []
        bias_gradients: list[FloatArray] = []
        for index in reversed(range(len(weights))):
            weight_gradients.insert(0, (backward.T @ values[index]).ravel())
            bias_gradients.insert(0, backward.sum(axis=0))
            backward = (backward @ weights[index]) * (values[index] > 0)
        gradient = np.concatenate(weight_gradients + bias_gradients)
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient * gradient - square)
        direction = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        parameters -= rate * 0.5 * (1 + np.cos(np.pi * step / steps)) * direction
    parameters[:] = parameters.astype(np.float32)
    return weights, biases
