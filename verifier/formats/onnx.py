"""Networks from ONNX files.

The graph is walked once in its own order.  Constants stay constants; whatever depends on the input is an affine map of
the activations before it (``affine.py``), made by the table of operators (``onnx_operators.py``); the output is lowered
to the canonical chain (``lowering.py``).  The function meant is the one over the real numbers with the stored weights
taken exactly.  The batch dimension is 1 where the file leaves it open, and a fixed batch is so many more inputs.

What a version of the standard allows is taken from onnx's own schemas: an operator, attribute or input that the file's
version does not have is an error, and so is all that is not understood.  A file cannot make anything but an InputError.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
import onnx

from verifier.formats.affine import Affine, Block, Monomial, Value, as_affine, require_elements
from verifier.formats.errors import InputError
from verifier.formats.lowering import chain
from verifier.formats.onnx_files import read_model
from verifier.formats.onnx_operators import OPERATORS, Operator
from verifier.formats.onnx_tensors import FLOATS, constant, printable, type_name
from verifier.formats.witness import counted
from verifier.kernel.network import Network

MAX_NODES = 20_000


@dataclass(frozen=True)
class LoadedNetwork:
    """A network and where it comes from.

    ``sha256`` is that of the uncompressed model, ``files`` has name and SHA-256 of it and of every external-data file;
    ``model_bytes`` is the uncompressed model with external data moved inside, for replay elsewhere; ``lowered`` says in
    one line a node what became of it.  Shapes have batch dimension 1 where the file leaves it open.
    """

    network: Network
    path: str
    input_name: str
    input_shape: tuple[int, ...]
    output_name: str
    output_shape: tuple[int, ...]
    sha256: str
    files: tuple[tuple[str, str], ...]
    model_bytes: bytes
    lowered: tuple[str, ...]


def plain_network(network: LoadedNetwork | Network) -> Network:
    """The network itself, without the file that it was read from."""
    return network if isinstance(network, Network) else network.network


def read_network(path: str | os.PathLike[str]) -> LoadedNetwork:
    """Read an ``.onnx`` or ``.onnx.gz`` file as a chain of layers.

    Raises InputError, one sentence naming the file and the place, for whatever cannot be read exactly as written.
    """
    name = os.fspath(path)
    file = read_model(name)
    try:
        return _load(name, file.model, file.sha256, file.files, file.model_bytes)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _load(path: str, model: onnx.ModelProto, sha256: str, files: tuple[tuple[str, str], ...],
          model_bytes: bytes) -> LoadedNetwork:
    graph = model.graph
    version = _version(model)
    _require_supported(graph)
    values: dict[str, Value] = _initializers(graph)
    given = [entry for entry in graph.input if entry.name not in values]
    if len(given) != 1 or len(graph.output) != 1:
        raise InputError(f"one input and one output are required, received inputs {[v.name for v in given]} "
                         f"and outputs {[v.name for v in graph.output]}")
    shape = _input_shape(given[0])
    source = Block(prod(shape), None, np.ones(prod(shape)))
    values[given[0].name] = source.values(shape)
    lowered = []
    for node in graph.node:
        line = _lower(node, version, values)
        if line:
            lowered.append(line)
    output_name = graph.output[0].name
    if output_name not in values:
        raise InputError(f"output {output_name!r} is computed by no node")
    try:
        output = as_affine(values[output_name])
        if not output.size:
            raise InputError(f"a nonempty tensor is required, received shape {output.shape}")
        network = chain(source, output)
    except InputError as error:
        raise InputError(f"output {output_name!r}: {error}") from None
    return LoadedNetwork(network, path, given[0].name, shape, output_name, output.shape, sha256, files, model_bytes,
                         tuple(lowered))


def _version(model: onnx.ModelProto) -> int:
    """The version of the standard's operators that the file is written in."""
    versions: set[int] = {entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")}
    if not versions and model.ir_version < 3:
        versions = {1}
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not 1 <= min(versions) <= newest:
        raise InputError(f"one operator set version from 1 to {newest} is required, received {sorted(versions)}")
    return versions.pop()


def _require_supported(graph: onnx.GraphProto) -> None:
    if len(graph.node) > MAX_NODES:
        raise InputError(f"at most {MAX_NODES} nodes are supported, received {len(graph.node)}")
    if graph.sparse_initializer:
        raise InputError(f"sparse initializers are not supported, received {len(graph.sparse_initializer)}")
    unsupported = [f"{printable('.'.join(filter(None, (node.domain, node.op_type))))} {node.name!r}"
                   for node in graph.node if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx")]
    if unsupported:
        raise InputError(f"unsupported nodes: {', '.join(unsupported)}")


def _initializers(graph: onnx.GraphProto) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for tensor in graph.initializer:
        if tensor.name in values:
            raise InputError(f"initializer {tensor.name!r} is given twice")
        try:
            values[tensor.name] = constant(tensor)
        except InputError as error:
            raise InputError(f"initializer {tensor.name!r}: {error}") from None
    return values


def _input_shape(entry: onnx.ValueInfoProto) -> tuple[int, ...]:
    """The shape of the input: the batch dimension is 1 when open, every other one must be known."""
    place = f"input {entry.name!r}"
    tensor = entry.type.tensor_type
    if tensor.elem_type not in FLOATS:
        raise InputError(f"{place}: a tensor of floating-point numbers is required, received "
                         f"{type_name(tensor.elem_type)}")
    if not tensor.HasField("shape"):
        raise InputError(f"{place}: a shape is required, received none")
    sizes = [dimension.dim_value for dimension in tensor.shape.dim]
    if sizes and sizes[0] == 0:
        sizes[0] = 1
    for number, (size, dimension) in enumerate(zip(sizes, tensor.shape.dim, strict=True)):
        if size < 1:
            received = repr(dimension.dim_param) if dimension.dim_param else size
            raise InputError(f"{place}: dimension {number} must be a known positive size, received {received}")
    require_elements(prod(sizes), place)
    return tuple(sizes)


def _lower(node: onnx.NodeProto, version: int, values: dict[str, Value]) -> str:
    """Compute one node into ``values``; what it was lowered to, empty for constants.

    Only the first output of a node is known: the others (the mask of a dropout) are missed only when they are read.
    """
    place = f"{node.op_type} {node.name!r}"
    try:
        if not node.output or node.output[0] in values or not node.output[0]:
            raise InputError(f"a first output with a new name is required, received {list(node.output)}")
        missing = [name for name in node.input if name and name not in values]
        if missing:
            raise InputError(f"reads {missing}, which nothing before it computes")
        operator = OPERATORS[node.op_type]
        attributes = _attributes(node, version, operator)
        inputs = [values[name] if name else None for name in node.input]
        _check_inputs(inputs, version, node.op_type, operator)
        result = operator.lower(*inputs, **attributes)
        require_elements(prod(result.shape), f"a tensor of shape {result.shape}")
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        shapes = [value.shape for value in (values.get(name) for name in node.input) if value is not None]
        raise InputError(f"{place}: malformed for inputs of shapes {shapes}: {' '.join(str(error).split())}") from None
    values[node.output[0]] = result
    return _line(place, [value for value in inputs if isinstance(value, Affine)], result)


def _check_inputs(inputs: Sequence[Value | None], version: int, op_type: str, operator: Operator) -> None:
    schema = onnx.defs.get_schema(op_type, version, "")
    least = max(operator.least, schema.min_input)
    most = schema.max_input if operator.most is None else min(operator.most, schema.max_input)
    if not least <= len(inputs) <= most:
        raise InputError(f"{least} to {most} inputs are required in version {version}, received {len(inputs)}")
    if any(value is None for value in (inputs if operator.most is None else inputs[:least])):
        raise InputError("a required input is left empty")


def _attributes(node: onnx.NodeProto, version: int, operator: Operator) -> dict[str, Any]:
    """All attributes the operator's function takes, from the node, the standard's default or the function's."""
    try:
        schema = onnx.defs.get_schema(node.op_type, version, "")
    except onnx.defs.SchemaError:
        raise InputError(f"the operator does not exist in version {version}") from None
    given: dict[str, onnx.AttributeProto] = {}
    for attribute in node.attribute:
        if attribute.name not in schema.attributes or attribute.name not in operator.attributes:
            raise InputError(f"unknown attribute {attribute.name!r} in version {version}")
        if attribute.name in given:
            raise InputError(f"attribute {attribute.name!r} is given twice")
        given[attribute.name] = attribute
    result = dict(operator.attributes)
    for name in operator.attributes:
        known = schema.attributes.get(name)
        if name in given:
            assert known is not None
            if given[name].ref_attr_name or given[name].type != _type_number(known):
                raise InputError(f"attribute {name!r} has the wrong type")
            result[name] = _plain(given[name])
        elif known is not None and known.default_value.type:
            result[name] = _plain(known.default_value)
        if result[name] is inspect.Parameter.empty:
            raise InputError(f"attribute {name!r} is required")
    return result


def _type_number(attribute: Any) -> int:
    return int(getattr(attribute.type, "value", attribute.type))


def _plain(attribute: onnx.AttributeProto) -> Any:
    """An attribute's value in Python's types, float32 numbers exactly."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        try:
            return value.decode("ascii")
        except UnicodeDecodeError:
            raise InputError(f"attribute {attribute.name!r} must be plain text") from None
    numbers = [value] if isinstance(value, float) else value if attribute.type == onnx.AttributeProto.FLOATS else []
    if not all(isfinite(number) for number in numbers):
        raise InputError(f"attribute {attribute.name!r} must be finite, received {value}")
    return value


def _line(place: str, inputs: Sequence[Affine], result: Value) -> str:
    """One line on a node that depends on the input: shapes, and the matrix or the units it became."""
    if not inputs or not isinstance(result, Affine):
        return ""
    shapes = f"{place}: {', '.join(_size(value.shape) for value in inputs)} -> {_size(result.shape)}"
    before: Mapping[Block, Any] = {block: term for value in inputs for block, term in value.terms.items()}
    made = []
    for block, term in result.terms.items():
        if block.pre is not None and block not in before:
            kinds = [{0: "ReLU", 1: "linear"}.get(slope, f"slope {slope}") for slope in dict.fromkeys(block.slope)]
            made.append(counted(block.size, f"{' and '.join(kinds)} unit"))
        elif not isinstance(term, Monomial) and term is not before.get(block):
            made.append(f"a {term.shape[0]} x {term.shape[1]} matrix")
    return f"{shapes} as {' and '.join(made)}" if made else shapes


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape[1:] if len(shape) > 1 and shape[0] == 1 else shape)) or "scalar"

