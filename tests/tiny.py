"""A network and properties small enough to know the answers: N(x) = |x| with two ReLUs, on [-0.7, 1]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

VIOLATED = "(assert (<= Y_0 0))"
"""True of x = 0 alone."""

HOLDS = "(assert (< Y_0 0))"


def write_absolute_value(path: Path) -> Path:
    """Write the network."""
    weights = {"W1": [[1.0, -1.0]], "W2": [[1.0], [1.0]]}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W1"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
         helper.make_node("MatMul", ["b", "W2"], ["y"])],
        "absolute", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(np.array(w, dtype=np.float32), name) for name, w in weights.items()])
    save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)
    return path


def write_property(path: Path, assertion: str, bounds: str = "(assert (>= X_0 -0.7)) (assert (<= X_0 1))") -> Path:
    """Write a property with the given bounds and counterexample."""
    path.write_text(f"(declare-const X_0 Real)\n(declare-const Y_0 Real)\n{bounds}\n{assertion}\n")
    return path


def write_family(folder: Path, expected: str = "") -> Path:
    """Write a folder with both properties, and an expected.csv when it is given."""
    write_absolute_value(folder / "abs.onnx")
    write_property(folder / "touches.vnnlib", VIOLATED)
    write_property(folder / "strict.vnnlib", HOLDS)
    (folder / "instances.csv").write_text("abs.onnx,touches.vnnlib,20\nabs.onnx,strict.vnnlib,20\n")
    if expected:
        (folder / "expected.csv").write_text(expected)
    return folder
