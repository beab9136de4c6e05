"""The bytes of an ONNX model: decompression, parsing, external data.

A file is data from strangers: at most ``MAX_BYTES`` are read, counted after decompression and with external data, and a
gzip stream is read piece by piece so that a bomb stops there.  External data is located and opened by onnx's own
functions, which keep it inside the model's folder; here only its size is held to what the tensor's shape needs.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]  # ships no types

from verifier.formats.errors import InputError
from verifier.formats.onnx_tensors import element_count, printable

MAX_BYTES = 1 << 30
_PIECE = 1 << 20


@dataclass(frozen=True)
class ModelFile:
    """A parsed model, all its tensors inside the message, the SHA-256 of the uncompressed model and of every file."""

    model: onnx.ModelProto
    sha256: str
    files: tuple[tuple[str, str], ...]
    model_bytes: bytes


def read_model(path: str) -> ModelFile:
    """Read ``.onnx`` or ``.onnx.gz`` with its external data.  Raises InputError naming what is wrong."""
    data = read_bytes(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError) as error:
        raise InputError(f"{path}: an ONNX model is required, received {len(data)} bytes that are none "
                         f"({_sentence(error)})") from None
    if not model.HasField("graph") or not model.graph.output:
        raise InputError(f"{path}: an ONNX model is required, received {len(data)} bytes without a graph")
    _require_text(model, path)
    digest = hashlib.sha256(data).hexdigest()
    external = _load_external_data(model, path, len(data))
    files = ((os.path.basename(path), digest), *external)
    return ModelFile(model, digest, files, model.SerializeToString() if external else data)


def read_bytes(path: str) -> bytes:
    """The content of a file, uncompressed when its name ends in ``.gz``.

    Raises InputError when it cannot be read or is larger than ``MAX_BYTES``.
    """
    pieces: list[bytes] = []
    left = MAX_BYTES
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as stream:
            while piece := stream.read(_PIECE):
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    raise InputError(f"{path}: at most {MAX_BYTES} bytes (uncompressed) are read, received more")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: a complete gzip file is required ({_sentence(error)})") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: the file cannot be read ({reason})") from None
    return b"".join(pieces)


def _require_text(model: onnx.ModelProto, path: str) -> None:
    """Every name that is looked at is text: protobuf hands out the bytes of what is not, or refuses to hand it out."""
    try:
        valid = all(isinstance(text, str) for text in _texts(model))
    except UnicodeDecodeError:
        valid = False
    if not valid:
        raise InputError(f"{path}: a name in the model is no valid UTF-8 text")


def _texts(model: onnx.ModelProto) -> Iterator[object]:
    """The names in the model; those of tensors last, as their places are described by the names before."""
    for entry in model.opset_import:
        yield entry.domain
    for node in model.graph.node:
        yield from (node.op_type, node.name, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
    for value in (*model.graph.input, *model.graph.output):
        yield from (value.name, *(dimension.dim_param for dimension in value.type.tensor_type.shape.dim))
    for _, tensor in _tensors(model):
        yield tensor.name
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)


def _tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    for tensor in model.graph.initializer:
        yield f"initializer {tensor.name!r}", tensor
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield f"attribute {attribute.name!r} of {printable(node.op_type)} {node.name!r}", attribute.t


def _load_external_data(model: onnx.ModelProto, path: str, used: int) -> list[tuple[str, str]]:
    """Move external data into the message; the files read, with their SHA-256, in the order of their names."""
    folder = os.path.dirname(os.path.abspath(path))
    names: set[str] = set()
    for place, tensor in _tensors(model):
        if not onnx.external_data_helper.uses_external_data(tensor):
            continue
        try:
            names.add(_load(tensor, folder, MAX_BYTES - used))
        except (InputError, OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            raise InputError(f"{path}: external data of {place}: {_sentence(error)}") from None
        used += len(tensor.raw_data)
    return [(name, _digest(path, Path(folder, name))) for name in sorted(names)]


def _load(tensor: onnx.TensorProto, folder: str, limit: int) -> str:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if unknown := sorted(set(entries) - {"location", "offset", "length", "checksum"}):
        raise InputError(f"the keys location, offset, length and checksum are known, received {unknown}")
    if "location" not in entries:
        raise InputError("a location is required")
    width = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize if element_count(tensor) else 0
    expected = element_count(tensor) * width
    if expected > limit:
        raise InputError(f"at most {MAX_BYTES} bytes are read with the model, received more")
    if "length" in entries and int(entries["length"]) != expected:
        raise InputError(f"{expected} bytes are required by its shape, received length {entries['length']}")
    if "length" not in entries:
        tensor.external_data.add(key="length", value=str(expected))
    onnx.external_data_helper.load_external_data_for_tensor(tensor, folder)
    if len(tensor.raw_data) != expected:
        raise InputError(f"{expected} bytes are required by its shape, received {len(tensor.raw_data)}")
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]
    return str(entries["location"])


def _digest(path: str, file: Path) -> str:
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: external data {file.name!r}: at most {MAX_BYTES} bytes are read, received more")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sentence(error: Exception) -> str:
    """The message of a library on one line."""
    return " ".join(str(error).split())
