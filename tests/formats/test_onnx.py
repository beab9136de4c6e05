"""Files: what is accepted, what is refused and in which words, and that nothing but InputError ever comes out."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.formats.onnx_models import exact, load, model, node, require_close, require_same, runtime, save
from verifier.formats import onnx as reader
from verifier.formats import onnx_files
from verifier.formats.errors import InputError
from verifier.formats.onnx import read_network

WEIGHT = np.float32([[1, -2, 0.5], [3, 0, -1]])


def small() -> onnx.ModelProto:
    return model([node("Gemm", "x w b", "h"), node("LeakyRelu", "h", "r", alpha=0.25), node("Reshape", "r s")],
                 ("N", 2), {"w": WEIGHT, "b": np.float32([1, 2, 3]), "s": np.array([3, -1])})


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_network(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).count(str(path)) == 1
    assert "\n" not in str(caught.value)


def test_what_is_loaded(tmp_path: Path) -> None:
    path = save(tmp_path, small())
    loaded = read_network(str(path))
    assert (loaded.path, loaded.input_name, loaded.output_name) == (str(path), "x", "y")
    assert (loaded.input_shape, loaded.output_shape) == ((1, 2), (3, 1))
    assert loaded.model_bytes == path.read_bytes()
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.files == (("net.onnx", loaded.sha256),)
    assert loaded.lowered == ("Gemm 'the_h': 2 -> 3 as a 3 x 2 matrix",
                              "LeakyRelu 'the_r': 3 -> 3 as 3 slope 0.25 units", "Reshape 'the_y': 3 -> 3x1")
    require_same(loaded)


def test_gzip_is_the_same_network(tmp_path: Path) -> None:
    plain = load(tmp_path, small())
    path = tmp_path / "net.onnx.gz"
    path.write_bytes(gzip.compress(plain.model_bytes))
    packed = read_network(path)
    assert (packed.sha256, packed.model_bytes, packed.network.digest) == (
        plain.sha256, plain.model_bytes, plain.network.digest)


@pytest.mark.parametrize("batch", ["N", None, 0, 1])
def test_open_batch_is_one(batch: str | int | None, tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("Relu", "x")], (batch, 3)))
    assert loaded.input_shape == (1, 3)


def test_fixed_batch_is_more_inputs(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([node("MatMul", "x w")], (2, 2), {"w": WEIGHT}))
    assert (loaded.network.inputs, loaded.network.outputs) == (4, 6)
    require_same(loaded)


def test_initializers_may_be_inputs_too(tmp_path: Path) -> None:
    proto = small()
    for name, shape in (("w", [2, 3]), ("b", [3])):
        proto.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    assert load(tmp_path, proto).input_name == "x"


def test_graph_output_may_be_the_input(tmp_path: Path) -> None:
    loaded = load(tmp_path, model([], (1, 2), output="x"))
    assert exact(loaded, np.array([0.1, -3])) == [0.1, -3]


# External data


def external(folder: Path) -> Path:
    path = folder / "net.onnx"
    onnx.save_model(small(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def change(path: Path, **entries: str) -> None:
    proto = onnx.load(str(path), load_external_data=False)
    for tensor in proto.graph.initializer:
        if tensor.name == "w":
            kept = {entry.key: entry.value for entry in tensor.external_data} | entries
            del tensor.external_data[:]
            for key, value in kept.items():
                if value:
                    tensor.external_data.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString())


def test_external_data(tmp_path: Path) -> None:
    inside = load(tmp_path, small())
    path = external(tmp_path)
    loaded = read_network(path)
    assert loaded.network.digest == inside.network.digest
    digests = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("net.onnx", "weights.bin")]
    assert loaded.files == (("net.onnx", digests[0]), ("weights.bin", digests[1]))
    assert loaded.sha256 == digests[0] != inside.sha256
    (tmp_path / "weights.bin").unlink()
    assert runtime(loaded, np.float32([[1, 2]])).shape == (3, 1)
    refused(path, "external data of initializer 'w'")


def test_external_data_without_length(tmp_path: Path) -> None:
    path = external(tmp_path)
    before = read_network(path).network
    change(path, length="")
    assert read_network(path).network == before


@pytest.mark.parametrize(("entries", "message"), [
    ({"location": "../weights.bin"}, "external data of initializer 'w'"), ({"location": ""}, "a location is required"),
    ({"location": "/etc/passwd"}, "external data of initializer 'w'"), ({"offset": "-1"}, "external data"),
    ({"offset": "many"}, "external data"), ({"offset": "4000000"}, "external data"), ({"length": "7"}, "24 bytes are"),
    ({"length": "x"}, "external data"), ({"basepath": "/"}, "the keys location, offset"), ({"more": "1"}, "the keys")])
def test_external_data_refused(entries: dict[str, str], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = external(folder)
    (tmp_path / "weights.bin").write_bytes((folder / "weights.bin").read_bytes())
    change(path, **entries)
    refused(path, message)


def test_external_data_too_short_or_a_link(tmp_path: Path) -> None:
    path = external(tmp_path)
    content = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(content[:10])
    refused(path, "external data")
    (tmp_path / "weights.bin").unlink()
    (tmp_path / "elsewhere").write_bytes(content)
    (tmp_path / "weights.bin").symlink_to(tmp_path / "elsewhere")
    refused(path, "external data")


def test_external_data_counts_towards_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = external(tmp_path)
    monkeypatch.setattr(onnx_files, "MAX_BYTES", path.stat().st_size + 20)
    refused(path, "at most .* bytes are read with the model")


# Files that are refused


def test_not_a_model(tmp_path: Path) -> None:
    refused(tmp_path / "missing.onnx", "the file cannot be read")
    refused(tmp_path, "the file cannot be read")
    for content in (b"", b"hello, this is not a network", bytes(100), b"\x1f\x8b\x08"):
        path = tmp_path / "net.onnx"
        path.write_bytes(content)
        refused(path, "an ONNX model is required")
    with pytest.raises(InputError, match="the file cannot be read"):
        read_network("a\0b")


def test_broken_gzip(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx.gz"
    packed = gzip.compress(small().SerializeToString())
    damaged = packed[:20] + bytes(8) + packed[28:]
    for content in (packed[:-9], damaged, packed + b"trailing", small().SerializeToString()):
        path.write_bytes(content)
        refused(path, "a complete gzip file is required")


def test_bomb_stops_at_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "MAX_BYTES", 3 << 20)
    path = tmp_path / "net.onnx.gz"
    path.write_bytes(gzip.compress(bytes(200 << 20), compresslevel=1))
    start = time.process_time()
    refused(path, r"at most 3145728 bytes \(uncompressed\) are read")
    assert time.process_time() - start < 0.5
    plain = tmp_path / "net.onnx"
    plain.write_bytes(bytes(4 << 20))
    refused(plain, "at most 3145728 bytes")


def test_too_many_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_NODES", 2)
    refused(save(tmp_path, small()), "at most 2 nodes are supported, received 3")


def test_all_unsupported_nodes_are_listed_at_once(tmp_path: Path) -> None:
    proto = model([node("Sigmoid", "x", "a"), node("Relu", "a", "b"), node("If", "b", "c"),
                   node("QLinearMatMul", "c", "d"), node("Relu", "d")], (1, 2))
    proto.graph.node[1].domain = "my.own"
    refused(save(tmp_path, proto), "unsupported nodes: Sigmoid 'the_a', my.own.Relu 'the_b', If 'the_c', "
                                   "QLinearMatMul 'the_d'$")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_nan_and_infinite_weights(value: float, dtype: type, tmp_path: Path) -> None:
    weight = np.zeros((2, 3), dtype=np.dtype(dtype).newbyteorder(">"))
    weight[1, 2] = value
    refused(save(tmp_path, model([node("MatMul", "x w")], (1, 2), {"w": weight})),
            rf"initializer 'w': finite numbers are required, received {value} at index \[1, 2\]")


def test_nan_in_a_constant_node_and_in_an_attribute(tmp_path: Path) -> None:
    nan = numpy_helper.from_array(np.float32([np.nan]))
    refused(save(tmp_path, model([node("Constant", "", "c", value=nan), node("Add", "x c")], (2,))),
            "Constant 'the_c': finite numbers are required")
    refused(save(tmp_path, model([node("LeakyRelu", "x", alpha=float("nan"))], (2,))), "'alpha' must be finite")
    refused(save(tmp_path, model([node("Constant", "", "c", value_floats=[1.0, float("inf")]), node("Add", "x c")],
                                 (2,))), "'value_floats' must be finite")


@pytest.mark.parametrize(("shape", "message"), [
    ((1, "width"), "dimension 1 must be a known positive size, received 'width'"),
    ((1, None), "dimension 1 must be a known positive size, received 0"), ((None, 3, 0), "dimension 2"),
    ((-1, 3), "dimension 0"), ((2**40, 3), "at most 50000000"), (None, "a shape is required")])
def test_input_shapes(shape: tuple[int | str | None, ...] | None, message: str, tmp_path: Path) -> None:
    refused(save(tmp_path, model([node("Relu", "x")], shape)), f"input 'x'.*{message}")


def test_graph_mistakes(tmp_path: Path) -> None:
    def check(message: str, nodes: list[onnx.NodeProto], **options: object) -> None:
        refused(save(tmp_path, model(nodes, (2,), {"c": np.float32(1)}, **options)), message)  # type: ignore[arg-type]

    check(r"Relu 'the_y': reads \['z'\], which nothing before it computes", [node("Relu", "z")])
    check(r"reads \['t'\]", [node("Relu", "t"), node("Relu", "x", "t")])
    check(r"reads \['m'\]", [node("Dropout", "x", "t m"), node("Relu", "m")])
    check("a first output with a new name", [node("Relu", "x"), node("Relu", "x")])
    check("a first output with a new name", [node("Relu", "x", "c")])
    check("output 'q' is computed by no node", [node("Relu", "x")], output="q")
    check("Relu 'the_y': unknown attribute 'alpha' in version 13", [node("Relu", "x", alpha=0.5)])
    check("unknown attribute 'axes' in version 13", [node("Squeeze", "x", axes=[0])])
    check("unknown attribute 'allowzero' in version 13",
          [node("Constant", "", "s", value_ints=[2]), node("Reshape", "x s", allowzero=1)])
    check("unknown attribute 'consumed_inputs'", [node("Relu", "x", consumed_inputs=[0])], opset=5)
    check("attribute 'alpha' has the wrong type", [node("LeakyRelu", "x", alpha=1)])
    check("attribute 'axis' is required", [node("Concat", "x x")])
    check("1 to 1 inputs are required in version 13, received 2", [node("Relu", "x c")])
    check("2 to 2 inputs are required", [node("Add", "x")])
    check("a required input is left empty", [node("Add", "x _")])
    check("a required input is left empty", [node("Concat", "x _", axis=0)])
    check("the operator does not exist in version 8", [node("ConstantOfShape", "x")], opset=8)
    check("one operator set version from 1 to", [node("Relu", "x")], opset=1000)
    check("a tensor of floating-point numbers is required, received INT64", [node("Relu", "x")],
          element_type=TensorProto.INT64)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    content = small().SerializeToString()
    for name in (b"LeakyRelu", b"the_r", b"alpha"):
        path = tmp_path / "net.onnx"
        path.write_bytes(content.replace(name, b"\xff\xfe" + name[2:]))
        refused(path, "a name in the model is no valid UTF-8 text")
    content = model([node("Constant", "", "c", value=numpy_helper.from_array(WEIGHT)), node("Relu", "x")],
                    (2,)).SerializeToString()
    path.write_bytes(content.replace(b"Constant", b"\xff\xfenstant"))
    refused(path, "a name in the model is no valid UTF-8 text")
    content = small().SerializeToString()
    path.write_bytes(content.replace(b"LeakyRelu", b"Leaky\nelu"))
    refused(path, r"unsupported nodes: 'Leaky\\nelu' 'the_r'")


def test_more_graph_mistakes(tmp_path: Path) -> None:
    def check(message: str, proto: onnx.ModelProto) -> None:
        refused(save(tmp_path, proto), message)

    proto = small()
    proto.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1]))
    check(r"one input and one output are required, received inputs \['x', 'second'\]", proto)
    proto = small()
    proto.graph.output.append(proto.graph.output[0])
    check(r"outputs \['y', 'y'\]", proto)
    proto = small()
    proto.graph.initializer.append(proto.graph.initializer[0])
    check("initializer 'w' is given twice", proto)
    proto = small()
    proto.graph.sparse_initializer.add()
    check("sparse initializers are not supported", proto)
    proto = small()
    proto.graph.initializer[0].dims[0] = -2
    check("initializer 'w': a tensor's dimensions must not be negative", proto)
    proto = small()
    proto.graph.initializer[0].dims[0] = 5
    check("initializer 'w': its data does not make a FLOAT tensor", proto)
    proto = small()
    proto.graph.initializer[0].dims[0] = 2**50
    check("initializer 'w': .* at most 50000000", proto)
    proto = small()
    proto.graph.initializer[0].data_type = TensorProto.INT4
    check("initializer 'w': .* received type INT4", proto)
    proto = small()
    proto.graph.node[1].attribute.append(proto.graph.node[1].attribute[0])
    check("'alpha' is given twice", proto)
    proto = small()
    proto.graph.node[1].attribute[0].ref_attr_name = "outer"
    check("'alpha' has the wrong type", proto)
    proto = small()
    del proto.opset_import[:]
    check(r"received \[\]", proto)


# Whatever the bytes


def mutants(content: bytes, count: int) -> list[bytes]:
    rng = random.Random(5)
    result = [content[:length] for length in range(0, len(content), 3)]
    for _ in range(count):
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            place = rng.randrange(len(changed))
            changed[place] = rng.choice((changed[place] ^ (1 << rng.randrange(8)), rng.randrange(256), 0, 255))
        result.append(bytes(changed))
    return result


def fuzz_models() -> list[onnx.ModelProto]:
    return [small(), model(
        [node("Conv", "x k b", "h", strides=[2, 1], pads=[1, 0, 1, 0], dilations=[1, 1], group=1, auto_pad="NOTSET"),
         node("Relu", "h", "r"), node("Flatten", "r", "f", axis=1), node("Slice", "f s e a", "g"),
         node("Gather", "g i", "t", axis=1), node("Concat", "t f", "c", axis=1), node("Unsqueeze", "c a", "u"),
         node("Transpose", "u", "v", perm=[2, 0, 1]), node("Cast", "v", "w", to=1), node("Squeeze", "w a", "z"),
         node("Div", "z d")], ("N", 1, 3, 3),
        {"k": np.ones((2, 1, 2, 2)), "b": np.ones(2), "s": np.array([1]), "e": np.array([5]), "a": np.array([1]),
         "i": np.array([0, 2]), "d": np.array(3.0)})]


@pytest.mark.parametrize("which", [0, 1])
def test_only_input_errors_escape(which: int, tmp_path: Path) -> None:
    content = fuzz_models()[which].SerializeToString()
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    read_network(path)
    messages, changed = [], mutants(content, 1500)
    for mutant in changed:
        path.write_bytes(mutant)
        try:
            read_network(path)
        except InputError as error:
            messages.append(str(error))
    assert 100 < len(messages) < len(changed) - 100  # some mutants are networks
    assert all(message.startswith(str(path)) and "\n" not in message for message in messages)


# Public benchmarks, when they are at hand


@pytest.mark.skipif("VERIFIER_DATA" not in os.environ, reason="VERIFIER_DATA does not name a folder of benchmarks")
def test_public_benchmarks_load_and_agree() -> None:
    folder = Path(os.environ["VERIFIER_DATA"])
    paths = sorted([*folder.rglob("*.onnx"), *folder.rglob("*.onnx.gz")])
    assert paths
    for path in paths:
        loaded = read_network(path)
        require_close(loaded, points=2)
        if "ACASXU" in path.name:
            assert len(loaded.network.layers) == 7
            assert loaded.network.phases == 300
            assert all(m.is_dyadic for layer in loaded.network.layers for m in (layer.weight, layer.bias))
