"""Certificates as bytes.  ``CERTIFICATE.md`` is the specification; this file reads and writes it.

A certificate is one header and, for every query that is claimed to have no points, a list of blocks.  A block belongs
to one step of the checker's stack machine (``checker.py``).  Reading never trusts a length: caps are checked before
memory is taken, and everything malformed raises :class:`InvalidCertificate`.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from verifier.kernel.branches import Indices, Mask
from verifier.kernel.rational import FloatArray, to_text

MAGIC = b"relu-verifier certificate\n"
VERSION = 1
MAX_HEADER_BYTES = 64 << 20
MAX_FRAME_BYTES = 256 << 20
MAX_DIGITS = 100_000
MAX_LAYERS = 10_000
MAX_LEAVES = 1 << 16         # exact leaves of one block
MAX_LEAF_BYTES = 16 << 20    # their text, together; and each text of a partition's frame
MAX_BATCH = 4096             # cells of a partition's frame
SLOPE_STEPS = 128
Bytes = npt.NDArray[np.uint8]


class InvalidCertificate(Exception):
    """The certificate does not prove its claim, or is no certificate."""


@dataclass(frozen=True)
class StatedBounds:
    """Bounds of one layer's undecided units, in the order of ``Branches.undecided``: which have a new lower, which a
    new upper bound, and these bounds (binary32 numbers)."""

    lower_stated: Mask
    upper_stated: Mask
    lower: npt.NDArray[np.float32]
    upper: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Refutations:
    """Half-space ``row[r]`` (numbered through all disjuncts) is false on branch ``branch[r]``; ``slopes`` holds,
    refutation by refutation, layer by layer, one step count out of SLOPE_STEPS for every undecided unit of the branch.
    """

    branch: Indices
    row: Indices
    slopes: Bytes


@dataclass(frozen=True)
class ExactLeaf:
    """Disjunct ``disjunct`` is refuted on ``branch`` by nonnegative multipliers of its half-spaces and by multipliers
    of units (pairs of flat unit number and value): of the sign condition of a decided unit, nonnegative; of the
    pre-activation itself of an undecided one, of any sign."""

    branch: int
    disjunct: int
    rows: tuple[Fraction, ...]
    units: tuple[tuple[int, Fraction], ...]


@dataclass(frozen=True)
class Block:
    """One step: take ``count`` branches, state bounds, refute, and split what is left.

    ``on_input``, ``index`` and ``point`` have one entry for every branch that is not refuted, in order; ``point`` is 0
    where a unit is split.
    """

    count: int
    stated: tuple[StatedBounds, ...]
    refutations: Refutations
    exact_leaves: tuple[ExactLeaf, ...]
    on_input: Mask
    index: Indices
    point: FloatArray

    def encode(self) -> bytes:
        """Canonical bytes, not yet compressed."""
        fields = [struct.pack("<II", self.count, len(self.stated))]
        for layer in self.stated:
            fields += [_pack(layer.lower_stated), _pack(layer.upper_stated), layer.lower.astype("<f4").tobytes(),
                       layer.upper.astype("<f4").tobytes()]
        leaves = "\n".join(f"{leaf.branch} {leaf.disjunct}|{' '.join(map(to_text, leaf.rows))}|"
                           f"{' '.join(f'{unit}:{to_text(value)}' for unit, value in leaf.units)}"
                           for leaf in self.exact_leaves)
        fields += [self.refutations.branch.astype("<u4").tobytes(), self.refutations.row.astype("<u4").tobytes(),
                   self.refutations.slopes.tobytes(), leaves.encode(), _pack(self.on_input),
                   self.index.astype("<u4").tobytes(), self.point[self.on_input].astype("<f8").tobytes()]
        return b"".join(struct.pack("<I", len(field)) + field for field in fields)

    @classmethod
    def decode(cls, data: bytes) -> Block:
        """Inverse of :meth:`encode`.  Raises InvalidCertificate."""
        reader = Fields(data)
        head = reader.array("<u4")
        if len(head) != 2:
            raise InvalidCertificate("a block needs a head of two numbers")
        count, layers = (int(v) for v in head)
        if layers > MAX_LAYERS:
            raise InvalidCertificate(f"a block states bounds of {layers} layers, at most {MAX_LAYERS} are read")
        stated = []
        for _ in range(layers):
            lower_stated, upper_stated = reader.mask(), reader.mask()
            stated.append(StatedBounds(lower_stated, upper_stated, reader.array("<f4"), reader.array("<f4")))
        refutations = Refutations(reader.array("<u4").astype(np.int64), reader.array("<u4").astype(np.int64),
                                  reader.array("u1"))
        text = reader.text(MAX_LEAF_BYTES)
        lines = text.split("\n", MAX_LEAVES) if text else []
        if len(lines) > MAX_LEAVES:
            raise InvalidCertificate(f"a block has more than {MAX_LEAVES} exact leaves")
        leaves = tuple(_leaf(line) for line in lines)
        on_input, index, points = reader.mask(), reader.array("<u4").astype(np.int64), reader.array("<f8")
        if len(on_input) != len(index) or int(on_input.sum()) != len(points) or not reader.finished:
            raise InvalidCertificate("the splits of a block do not fit together")
        point = np.zeros(len(index))
        point[on_input] = points
        return cls(count, tuple(stated), refutations, leaves, on_input, index, point)


def unpack(compressed: bytes) -> Block:
    """The block in a frame.  Raises InvalidCertificate."""
    return Block.decode(decompress(compressed))


def decompress(compressed: bytes) -> bytes:
    """What a frame holds.  Raises InvalidCertificate."""
    decompressor = zlib.decompressobj()
    try:
        data = decompressor.decompress(compressed, MAX_FRAME_BYTES)
    except zlib.error as error:
        raise InvalidCertificate("a block is not compressed data") from error
    if not decompressor.eof or decompressor.unused_data:
        raise InvalidCertificate("a block is truncated, too long, or followed by stray bytes")
    return data


class CertificateWriter:
    """Writes a certificate to a binary stream: the header at once, then blocks, then the trailer on ``close``."""

    def __init__(self, stream: BinaryIO, header: dict[str, Any]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes_written = 0
        text = json.dumps({"version": VERSION, **header}, sort_keys=True, separators=(",", ":")).encode()
        self._write(MAGIC + struct.pack("<I", len(text)) + text)

    def block(self, compressed: bytes) -> None:
        """Append one encoded and zlib-compressed block to the proof of the current query."""
        self._write(struct.pack("<I", len(compressed)) + compressed)

    def end_proof(self) -> None:
        """End the proof of the current query."""
        self._write(struct.pack("<I", 0))

    def close(self) -> None:
        """Write the trailer (the stream stays open)."""
        digest = self._hash.digest()
        self._write(digest)

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._stream.write(data)
        self.bytes_written += len(data)


class CertificateReader:
    """Reads a certificate from a binary stream.  Raises InvalidCertificate for anything malformed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        if self._read(len(MAGIC)) != MAGIC:
            raise InvalidCertificate("this file is not a certificate of this tool")
        (length,) = struct.unpack("<I", self._read(4))
        if length > MAX_HEADER_BYTES:
            raise InvalidCertificate(f"the header claims {length} bytes, at most {MAX_HEADER_BYTES} are read")
        try:
            header = json.loads(self._read(length))
        except (ValueError, RecursionError) as error:
            raise InvalidCertificate("the header is not JSON") from error
        if not isinstance(header, dict):
            raise InvalidCertificate("the header is not a JSON object")
        version = header.get("version")
        if type(version) is not int or version != VERSION:  # to Python, true and 1.0 are equal to 1
            raise InvalidCertificate(f"certificate version {VERSION} is required, received {version!r}")
        self.header: dict[str, Any] = header

    def proof(self) -> Iterator[Block]:
        """The blocks of the next query's proof."""
        return map(Block.decode, self.frames())

    def frames(self) -> Iterator[bytes]:
        """What the frames of the next proof hold."""
        while True:
            (length,) = struct.unpack("<I", self._read(4))
            if length == 0:
                return
            if length > MAX_FRAME_BYTES:
                raise InvalidCertificate(f"a block claims {length} bytes, at most {MAX_FRAME_BYTES} are read")
            yield decompress(self._read(length))

    def end(self) -> None:
        """Check the trailer and that nothing follows it."""
        expected = self._hash.digest()
        if self._read(len(expected)) != expected:
            raise InvalidCertificate("the checksum does not fit the certificate")
        if self._stream.read(1):
            raise InvalidCertificate("bytes follow the end of the certificate")

    def _read(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) != count:
            raise InvalidCertificate("the certificate is truncated")
        self._hash.update(data)
        return data


class Fields:
    """Length-prefixed fields of a block.  What is malformed raises InvalidCertificate."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def finished(self) -> bool:
        """Whether no field is left."""
        return self._at == len(self._data)

    def field(self) -> bytes:
        """The next field, whatever it is."""
        start = self._at + 4
        if start > len(self._data):
            raise InvalidCertificate("a block is truncated")
        (length,) = struct.unpack_from("<I", self._data, self._at)
        self._at = start + length
        if self._at > len(self._data):
            raise InvalidCertificate("a block is truncated")
        return self._data[start:self._at]

    def array(self, kind: str) -> npt.NDArray[Any]:
        """The next field as numbers of this type."""
        field = self.field()
        if len(field) % np.dtype(kind).itemsize:
            raise InvalidCertificate("a field of a block has a wrong length")
        return np.frombuffer(field, dtype=kind)

    def mask(self) -> Mask:
        """The next field as a mask."""
        field = self.field()
        if len(field) < 4:
            raise InvalidCertificate("a mask of a block has a wrong length")
        (length,) = struct.unpack_from("<I", field)
        if len(field) != 4 + (length + 7) // 8:
            raise InvalidCertificate("a mask of a block has a wrong length")
        bits = np.unpackbits(np.frombuffer(field, dtype=np.uint8, offset=4))
        if bits[length:].any():
            raise InvalidCertificate("a mask of a block has stray bits")
        return bits[:length].view(np.bool_)

    def text(self, most: int = MAX_FRAME_BYTES) -> str:
        """The next field as text of at most so many bytes."""
        field = self.field()
        if len(field) > most:
            raise InvalidCertificate(f"the text of a block takes {len(field)} bytes, at most {most} are read")
        try:
            return field.decode("ascii")
        except UnicodeDecodeError as error:
            raise InvalidCertificate("a text of a block is not ASCII") from error

    def lines(self, most: int) -> Iterator[str]:
        """The lines of the next field, a text as :meth:`text` reads it; each is made when it is asked for, because a
        list of short strings takes much more memory than their text."""
        return _lines(self.text(most))


def _lines(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        if end < 0:
            raise InvalidCertificate("a line of a proof has no end")
        yield text[start:end]
        start = end + 1


def _pack(mask: Mask) -> bytes:
    return struct.pack("<I", len(mask)) + np.packbits(mask).tobytes()


def _leaf(line: str) -> ExactLeaf:
    try:
        head, rows, units = line.split("|")
        branch, disjunct = (_integer(v) for v in head.split(" "))
        pairs = (item.split(":") for item in units.split(" ") if item)
        return ExactLeaf(branch, disjunct, tuple(parse_rational(v) for v in rows.split(" ") if v),
                         tuple((_integer(unit), parse_rational(value)) for unit, value in pairs))
    except ValueError as error:
        raise InvalidCertificate("an exact leaf is malformed") from error


def _integer(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError("a number was required")
    return int(text)


def parse_point(line: str, size: int) -> list[Fraction]:
    """So many rationals separated by spaces.  Raises InvalidCertificate."""
    words = line.split(" ", size) if line else []
    if len(words) != size:
        raise InvalidCertificate(f"a point needs {size} coordinates")
    try:
        return [parse_rational(word) for word in words]
    except ValueError as error:
        raise InvalidCertificate("a rational of a proof is malformed") from error


def parse_weights(text: str, most: int) -> dict[int, int]:
    """``NUMBER:MULTIPLIER`` separated by spaces, at most so many, each number once.  Raises InvalidCertificate."""
    words = text.split(" ", most) if text else []
    pairs = [word.partition(":") for word in words[:most]]
    weights = {parse_natural(number): parse_natural(weight) for number, _, weight in pairs}
    if len(weights) != len(words):
        raise InvalidCertificate("there are too many multipliers, or two of one row")
    return weights


def parse_natural(text: str) -> int:
    """Decimal digits.  Raises InvalidCertificate for anything else and for too many digits."""
    if not text.isdigit() or not text.isascii() or len(text) > MAX_DIGITS:
        raise InvalidCertificate("the number of a row or a multiplier is malformed")
    return _long(text)


def parse_rational(text: str) -> Fraction:
    """``p`` or ``p/q`` with decimal digits.  Raises ValueError for anything else or for too many digits."""
    numerator, slash, denominator = text.partition("/")
    digits = numerator.removeprefix("-")
    if not digits.isdigit() or not digits.isascii() or len(text) > MAX_DIGITS or (slash and not (
            denominator.isdigit() and denominator.isascii())):
        raise ValueError("a rational p/q was required")
    divisor = _long(denominator) if slash else 1
    if divisor == 0:
        raise ValueError("a rational p/q was required")
    return Fraction(_long(numerator), divisor)


def _long(text: str) -> int:
    """``int`` without Python's cap on digits, which is for quadratic time on untrusted input; ours is MAX_DIGITS."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    value = 0
    for start in range(0, len(digits), 4000):
        part = digits[start:start + 4000]
        value = value * 10 ** len(part) + int(part)
    if value == 0 and sign < 0:
        raise ValueError("a rational p/q was required")
    return sign * value

