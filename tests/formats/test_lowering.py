"""Graphs become the chain one would draw by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto

from tests.formats.onnx_models import exact, load, model, node, require_close, require_same
from verifier.formats import affine
from verifier.formats.errors import InputError
from verifier.kernel.network import Layer, Network
from verifier.kernel.rational import Matrix

RNG = np.random.default_rng(7)


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def shapes(network: Network) -> list[tuple[int, int]]:
    return [layer.weight.shape for layer in network.layers]


def slopes(network: Network) -> list[list[float]]:
    return [sorted(set(layer.slopes.tolist())) for layer in network.layers]


def test_acas_form_is_seven_dyadic_layers(tmp_path: Path) -> None:
    nodes = [node("Sub", "x zero", "s"), node("Flatten", "s", "f0")]
    constants = {"zero": np.zeros((1, 1, 1, 5))}
    for i in range(7):
        rows, columns = 5 if i == 0 else 6, 5 if i == 6 else 6
        constants |= {f"w{i}": weights(rows, columns), f"b{i}": weights(columns)}
        nodes += [node("MatMul", f"f{i} w{i}", f"m{i}"), node("Add", f"m{i} b{i}", "y" if i == 6 else f"a{i}")]
        if i < 6:
            nodes.append(node("Relu", f"a{i}", f"f{i + 1}"))
    loaded = load(tmp_path, model(nodes, (1, 1, 1, 5), constants, opset=8))
    assert shapes(loaded.network) == [(6, 5)] + [(6, 6)] * 5 + [(5, 6)]
    assert slopes(loaded.network) == [[0.0]] * 6 + [[1.0]]
    assert all(m.is_dyadic for layer in loaded.network.layers for m in (layer.weight, layer.bias))
    for i, layer in enumerate(loaded.network.layers):
        assert np.array_equal(layer.weight.approximate(), constants[f"w{i}"].astype(np.float32).T)
        assert np.array_equal(layer.bias.approximate()[:, 0], constants[f"b{i}"].astype(np.float32))
    require_close(loaded)


def test_hand_written_network_has_the_digest_of_the_same_arrays(tmp_path: Path) -> None:
    first, second = np.float32([[1, -2], [3, 0.5], [0, 0]]), np.float32([[2, -1, 0.25]])
    loaded = load(tmp_path, model([node("Gemm", "x w b", "h", transB=1), node("Relu", "h", "r"),
                                   node("Gemm", "r v c", transB=1)], ("N", 2),
                                  {"w": first, "b": np.float32([1, 2, 3]), "v": second, "c": np.float32([-1])}))
    assert loaded.network.digest == Network.from_arrays([first, second], [[1, 2, 3], [-1]]).digest
    assert loaded.lowered == ("Gemm 'the_h': 2 -> 3 as a 3 x 2 matrix", "Relu 'the_r': 3 -> 3 as 3 ReLU units",
                              "Gemm 'the_y': 3 -> 1 as a 1 x 3 matrix")


CHAINS: list[tuple[str, list[NodeProto], list[tuple[int, int]], list[list[float]]]] = [
    ("input itself", [node("Identity", "x")], [(3, 3)], [[1]]),
    ("relu of input", [node("Relu", "x")], [(3, 3)], [[0]]),
    ("ends in a relu", [node("MatMul", "x w", "h"), node("Relu", "h")], [(4, 3)], [[0]]),
    ("no relu", [node("MatMul", "x w", "h"), node("Add", "h b")], [(4, 3)], [[1]]),
    ("pre-activation", [node("MatMul", "x w"), node("Relu", "y", "r")], [(4, 3)], [[1]]),
    ("relu twice", [node("Relu", "x", "r"), node("Relu", "r")], [(3, 3), (3, 3)], [[0], [0]]),
    ("two relus of one tensor", [node("Relu", "x", "r"), node("Relu", "x", "s"), node("Sub", "r s")],
     [(6, 3), (3, 6)], [[0], [1]]),
    ("relu and leaky", [node("Relu", "x", "r"), node("LeakyRelu", "x", "s", alpha=0.5), node("Concat", "r s", axis=1)],
     [(6, 3)], [[0, 0.5]]),
    ("concat in another order", [node("Relu", "x", "r"), node("LeakyRelu", "x", "s", alpha=0.5),
                                 node("Add", "r s", "t"), node("Concat", "s r", axis=1)], [(6, 3)], [[0, 0.5]]),
    ("skip", [node("Relu", "x", "r"), node("Add", "r x")], [(6, 3), (3, 6)], [[0, 1], [1]]),
    ("skip over two", [node("Relu", "x", "r"), node("MatMul", "r u", "h"), node("Relu", "h", "s"),
                       node("Sub", "s x", "t"), node("Relu", "t")], [(6, 3), (6, 6), (3, 6)], [[0, 1], [0, 1], [0]]),
    ("only what is read is carried", [node("Gather", "x one", "g", axis=1), node("Relu", "x", "r"), node("Add", "r g")],
     [(4, 3), (3, 4)], [[0, 1], [1]]),
    ("narrow skip", [node("MatMul", "x n", "h"), node("Relu", "x", "r"), node("Relu", "r", "s"),
                     node("Gather", "s one", "t", axis=1), node("Add", "t h")],
     [(4, 3), (4, 4), (1, 4)], [[0, 1], [0, 1], [1]]),
    ("dead branch", [node("MatMul", "x w", "h"), node("Relu", "h", "dead"), node("Relu", "x")], [(3, 3)], [[0]]),
    ("unread units stay", [node("MatMul", "x w", "h"), node("Relu", "h", "r"), node("Gather", "r one", axis=1)],
     [(4, 3), (1, 4)], [[0], [1]]),
    ("two rounding products", [node("MatMul", "x u", "h"), node("MatMul", "h u")], [(3, 3), (3, 3)], [[1], [1]]),
    ("permuted output", [node("Relu", "x", "r"), node("Gather", "r turn", axis=1)], [(3, 3), (3, 3)], [[0], [1]]),
    ("scaled twice", [node("Mul", "x d", "h"), node("Mul", "h d", "k"), node("Mul", "k d", "l"), node("MatMul", "l u")],
     [(3, 3), (3, 3)], [[1], [1]]),
    ("identity weights are weights", [node("Relu", "x", "r"), node("MatMul", "r eye")], [(3, 3), (3, 3)], [[0], [1]]),
]


@pytest.mark.parametrize(("nodes", "expected", "negative"), [c[1:] for c in CHAINS], ids=[c[0] for c in CHAINS])
def test_chain(nodes: list[NodeProto], expected: list[tuple[int, int]], negative: list[list[float]],
               tmp_path: Path) -> None:
    constants = {"w": weights(3, 4), "u": weights(3, 3), "b": weights(4), "n": weights(3, 1), "d": weights(3),
                 "eye": np.eye(3), "one": np.array([1]), "turn": np.array([2, 0, 1])}
    loaded = load(tmp_path, model(nodes, (1, 3), constants))
    require_close(loaded, points=5)
    assert shapes(loaded.network) == expected
    assert slopes(loaded.network) == negative


def test_constant_output(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("Neg", "c")], (1, 3), {"c": np.float32([1, -2])}))
    assert loaded.network == Network((Layer.affine(Matrix.zeros(2, 3), Matrix.column([-1, 2])),))


def test_residual_blocks_of_integers_are_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    nodes, last = [node("Conv", "x k", "c0", pads=[1, 1, 1, 1])], "c0"
    constants = {"k": rng.integers(-2, 3, (2, 1, 3, 3))}
    for i in range(2):
        constants |= {f"k{i}": rng.integers(-2, 3, (2, 2, 3, 3)), f"l{i}": rng.integers(-2, 3, (2, 2, 1, 1))}
        nodes += [node("Relu", last, f"r{i}"), node("Conv", f"r{i} k{i}", f"d{i}", pads=[1, 1, 1, 1]),
                  node("Relu", f"d{i}", f"e{i}"), node("Conv", f"e{i} l{i}", f"f{i}"),
                  node("Add", f"f{i} {last}", f"s{i}")]
        last = f"s{i}"
    constants = {name: value.astype(np.float32) for name, value in constants.items()}
    nodes += [node("Flatten", last, "flat"), node("Slice", "flat begin end axes")]
    bounds = {name: np.array([value]) for name, value in (("begin", 3), ("end", 9), ("axes", 1))}
    loaded = load(tmp_path, model(nodes, (1, 1, 3, 3), constants | bounds))
    require_same(loaded)
    assert loaded.network.phases == 4 * 18


def test_sum_of_weights_that_does_not_fit_a_float_is_exact(tmp_path: Path) -> None:
    tiny = np.float32([[2.0**-60]])
    loaded = load(tmp_path, model([node("MatMul", "x c", "h"), node("Add", "x h")], (1, 1), {"c": tiny}))
    assert exact(loaded, np.array([1.0])) == [1 + Fraction(1, 2**60)]


def test_bias_pushed_through_a_matrix_is_exact(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("Sub", "x m", "h"), node("MatMul", "h c")], (1, 2),
                                  {"m": np.float32([1, 2.0**-40]), "c": np.float32([[1], [2.0**-40]])}))
    assert exact(loaded, np.array([0.0, 0.0])) == [-1 - Fraction(1, 2**80)]
    assert len(loaded.network.layers) == 1


def test_many_layers_do_not_recurse(tmp_path: Path) -> None:
    nodes = [node("Relu", "x" if i == 0 else f"r{i - 1}", f"r{i}") for i in range(3000)]
    loaded = load(tmp_path, model([*nodes, node("Identity", "r2999")], (1, 2)))
    assert len(loaded.network.layers) == 3000


@pytest.mark.parametrize("nodes", [
    [node("MatMul", "x w")], [node("Relu", "x", "r"), node("Gather", "r many", axis=1)], [node("Identity", "x")],
    [node("Add", "x column")], [node("Gather", "x many", axis=1)], [node("Concat", "x x x x x x x x", axis=1)]])
def test_large_matrices_are_refused(nodes: list[NodeProto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "MAX_ELEMENTS", 50)
    proto = model(nodes, (1, 8), {"w": np.ones((8, 8)) * 0.5, "many": np.zeros(60, dtype=np.int64),
                                  "column": np.ones((8, 1))})
    with pytest.raises(InputError, match="at most 50 are supported"):
        load(tmp_path, proto)
