"""Small ONNX models, and the comparison of what was read with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from verifier.formats.onnx import LoadedNetwork, read_network

Shape = Sequence[int | str | None] | None


def node(op: str, inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    """A node named after its output; ``inputs`` are names separated by spaces, ``_`` an empty one."""
    names = output.split()
    return helper.make_node(op, ["" if name == "_" else name for name in inputs.split()], names, name=f"the_{names[0]}",
                            **attributes)


def model(nodes: Sequence[onnx.NodeProto], shape: Shape, constants: Mapping[str, Any] | None = None, *,
          opset: int = 13, element_type: int = TensorProto.FLOAT, output: str = "y") -> onnx.ModelProto:
    """A model with input ``x``; float64 constants in native byte order become float32, others keep their type."""
    tensors = []
    for name, value in (constants or {}).items():
        array = np.asarray(value)
        native = array.dtype.isnative
        array = array.astype(np.float32) if native and array.dtype == np.float64 else array.astype(
            array.dtype.newbyteorder("="))
        tensors.append(numpy_helper.from_array(array, name))
    graph = helper.make_graph(list(nodes), "g", [helper.make_tensor_value_info("x", element_type, shape)],
                              [helper.make_tensor_value_info(output, element_type, None)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def save(folder: Path, proto: onnx.ModelProto, name: str = "net.onnx") -> Path:
    """Write the model."""
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path


def load(folder: Path, proto: onnx.ModelProto) -> LoadedNetwork:
    """Write the model and read it."""
    return read_network(save(folder, proto))


def runtime(loaded: LoadedNetwork, x: np.ndarray) -> np.ndarray:
    """What onnxruntime computes at ``x``, which has the shape and type of the input."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(loaded.model_bytes, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {loaded.input_name: x})[0])


def exact(loaded: LoadedNetwork, x: np.ndarray) -> list[Fraction]:
    """The exact output at the same input."""
    return list(loaded.network.evaluate([Fraction(float(v)) for v in x.ravel()]))


def require_same(loaded: LoadedNetwork, seed: int = 0, points: int = 3, dtype: Any = np.float32) -> None:
    """On integer inputs a network of small integers runs without rounding, so the outputs must be equal."""
    rng = np.random.default_rng(seed)
    for _ in range(points):
        x = rng.integers(-4, 5, loaded.input_shape).astype(dtype)
        y = runtime(loaded, x)
        assert y.shape == loaded.output_shape
        assert [Fraction(float(v)) for v in y.ravel()] == exact(loaded, x)


def require_close(loaded: LoadedNetwork, seed: int = 0, points: int = 3, dtype: Any = np.float32) -> None:
    """On random inputs the outputs differ by float32 rounding only."""
    rng = np.random.default_rng(seed)
    for _ in range(points):
        x = rng.standard_normal(loaded.input_shape).astype(dtype)
        y = runtime(loaded, x)
        assert y.shape == loaded.output_shape
        np.testing.assert_allclose(y.ravel(), [float(v) for v in exact(loaded, x)], rtol=1e-4, atol=1e-4)
