"""Certificates as bytes: what is written is read back, and everything malformed is an InvalidCertificate."""

import hashlib
import io
import json
import random
import struct
import zlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.mutations import flip
from tests.proofs import accepted, proved_queries, to_bytes
from verifier.kernel.certificate import (
    MAGIC,
    MAX_DIGITS,
    MAX_FRAME_BYTES,
    MAX_HEADER_BYTES,
    MAX_LEAVES,
    Block,
    CertificateReader,
    ExactLeaf,
    InvalidCertificate,
    Refutations,
    parse_rational,
    unpack,
)

PROVED = list(proved_queries(100, 6))


def sealed(body):
    """The bytes with a right checksum."""
    return body + hashlib.sha256(body).digest()


def head(text=b'{"version":1}'):
    return MAGIC + struct.pack("<I", len(text)) + text


def frame(data):
    return struct.pack("<I", len(data)) + data


END = struct.pack("<I", 0)


def read(data):
    """All blocks of a certificate of one proof."""
    reader = CertificateReader(io.BytesIO(data))
    blocks = list(reader.proof())
    reader.end()
    return reader.header, blocks


def same(first, second):
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    if isinstance(first, tuple) and first and not isinstance(first[0], Fraction | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if hasattr(first, "__dataclass_fields__") and not isinstance(first, ExactLeaf):
        return all(same(getattr(first, name), getattr(second, name)) for name in first.__dataclass_fields__)
    return first == second


def test_what_is_written_is_read():
    for _, blocks in PROVED:
        header, again = read(to_bytes([[b.encode() for b in blocks]], {"key": ["value", 1]}))
        assert header == {"version": 1, "key": ["value", 1]}
        assert len(again) == len(blocks)
        assert all(map(same, blocks, again))
        assert [b.encode() for b in again] == [b.encode() for b in blocks]


def test_exact_leaves_survive():
    _, blocks = PROVED[0]
    leaves = (ExactLeaf(0, 0, (), ()), ExactLeaf(7, 3, (Fraction(1, 3), Fraction(0)), ((12, Fraction(-5, 7)),)))
    block = Block(3, blocks[0].stated, blocks[0].refutations, leaves, *(getattr(blocks[0], n) for n in
                                                                       ("on_input", "index", "point")))
    assert Block.decode(block.encode()).exact_leaves == leaves


def test_several_proofs_are_kept_apart():
    (_, first), (_, second) = PROVED[:2]
    data = to_bytes([[b.encode() for b in first], [], [b.encode() for b in second]])
    reader = CertificateReader(io.BytesIO(data))
    assert [len(list(reader.proof())) for _ in range(3)] == [len(first), 0, len(second)]
    reader.end()


@pytest.mark.parametrize("data", [
    b"", b"x", MAGIC, MAGIC[:-1] + b"x", MAGIC + b"\1", head(b""), head(b"[]"), head(b"1"), head(b"{"),
    head(b"\xff\xfe"),
    head(b"{}"), head(b'{"version":2}'), head(b'{"version":"1"}'), head(b'{"version":null}'), head(b'{"version":true}'),
    head(b'{"version":1.0}'), head(b'{"version":[1]}'), head(b"[" * 10**5),
    head(b'{"version":' + b"9" * 10**4 + b"}"), MAGIC + struct.pack("<I", MAX_HEADER_BYTES + 1) + b" " * 100,
    MAGIC + struct.pack("<I", 2**32 - 1), head() + struct.pack("<I", 5),
    head() + struct.pack("<I", MAX_FRAME_BYTES + 1), head() + struct.pack("<I", 2**32 - 1), head() + frame(b"hello"),
    head() + frame(zlib.compress(b"hello")),
    head() + frame(zlib.compress(b"")[:-1]), head() + frame(zlib.compress(b"") + b"x"), head() + frame(b"\x78\x9c"),
    head() + END, head() + END + b"\0" * 32, sealed(head() + END)[:-1], sealed(head() + END) + b"\0", sealed(head())])
def test_malformed_files_are_invalid(data):
    with pytest.raises(InvalidCertificate):
        read(data)


def test_the_smallest_certificate():
    assert read(sealed(head() + END)) == ({"version": 1}, [])


def test_every_truncation_is_invalid():
    _, blocks = PROVED[0]
    data = to_bytes([[b.encode() for b in blocks]])
    for length in range(len(data)):
        with pytest.raises(InvalidCertificate):
            read(data[:length])


def test_every_flipped_byte_is_noticed():
    """Without a new checksum any change is noticed, in the header and the trailer as well."""
    _, blocks = PROVED[1]
    data = to_bytes([[b.encode() for b in blocks]], {"property": "p"})
    for at in range(len(data)):
        with pytest.raises(InvalidCertificate):
            read(data[:at] + bytes([data[at] ^ (1 << (at % 8))]) + data[at + 1:])


@pytest.mark.parametrize("seed", range(len(PROVED)))
def test_flipped_bytes_with_a_new_checksum_raise_nothing_else(seed):
    query, blocks = PROVED[seed]
    rng = random.Random(seed)
    body = to_bytes([[b.encode() for b in blocks]])[:-32]
    for _ in range(150):
        accepted(query, sealed(flip(rng, body)))  # any other exception fails the test


def fields(*contents):
    return b"".join(frame(content) for content in contents)


MASK = struct.pack("<I", 0)
HEAD = struct.pack("<II", 1, 0)
EMPTY = (b"", b"", b"", b"", MASK, b"", b"")


def test_the_smallest_block():
    block = Block.decode(fields(HEAD, *EMPTY))
    assert (block.count, block.stated, block.exact_leaves, len(block.index)) == (1, (), (), 0)


@pytest.mark.parametrize("data", [
    b"", fields(HEAD), fields(HEAD, *EMPTY[:-1]), fields(HEAD, *EMPTY) + b"x", fields(HEAD, *EMPTY, b""),
    fields(HEAD[:4], *EMPTY), fields(HEAD + b"\0", *EMPTY), fields(struct.pack("<II", 1, 1), *EMPTY),
    fields(struct.pack("<II", 1, 2**32 - 1), *EMPTY), fields(HEAD, b"abc", *EMPTY[1:]),
    fields(HEAD, *EMPTY[:4], b"", b"", b""), fields(HEAD, *EMPTY[:4], b"\0\0\0", b"", b""),
    fields(HEAD, *EMPTY[:4], struct.pack("<I", 1), b"", b""), fields(HEAD, *EMPTY[:4], MASK + b"\0", b"", b""),
    fields(HEAD, *EMPTY[:4], struct.pack("<I", 2**32 - 1) + b"\0", b"", b""),
    fields(HEAD, *EMPTY[:4], struct.pack("<I", 1) + b"\xff", b"\0" * 4, b"\0" * 8),
    fields(HEAD, *EMPTY[:4], struct.pack("<I", 1) + b"\x80", b"", b"\0" * 8),
    fields(HEAD, *EMPTY[:4], struct.pack("<I", 1) + b"\x80", b"\0" * 4, b""),
    fields(HEAD, *EMPTY[:4], struct.pack("<I", 1) + b"\x00", b"\0" * 4, b"\0" * 8),
    fields(HEAD, *EMPTY)[:-1], struct.pack("<I", 2**32 - 1), b"\0\0\0"])
def test_malformed_blocks_are_invalid(data):
    with pytest.raises(InvalidCertificate):
        Block.decode(data)


@pytest.mark.parametrize("line", [
    "", "0 0", "0 0|", "0 0|||", "0|0|0", "0 0 0||", "-1 0||", "a 0||", "0 0|x|", "0 0|1/0|", "0 0|1/|", "0 0|/1|",
    "0 0|1/-2|", "0 0|-0|", "0 0|--1|", "0 0|1.5|", "0 0|1e5|", "0 0|nan|", "0 0|inf|", "0 0||1", "0 0||1:", "0 0||:1",
    "0 0||1:1:1", "0 0||-1:1", "0 0||1:1/0", "0 0|\t1|", "0 0|1_0|", "9" * 19 + " 0||",
    "0 0|" + "9" * (MAX_DIGITS + 1) + "|",
    "0 0|\u0661|"])
def test_malformed_leaves_are_invalid(line):
    with pytest.raises(InvalidCertificate):
        Block.decode(fields(HEAD, b"", b"", b"", (line + "\n").encode(), *EMPTY[4:]))


def test_long_rationals_are_read():
    value = Fraction(3**5000, 2**9000)
    assert parse_rational(f"-{value}") == -value
    assert parse_rational("1" + "0" * 50_000) == 10**50_000
    assert parse_rational("6/4") == Fraction(3, 2)


def test_long_multipliers_are_written():
    long = Fraction(3**9999, 2**15_001)
    block = replace(PROVED[0][1][0], exact_leaves=(ExactLeaf(0, 0, (long, Fraction(0)), ((1, -long),)),))
    assert Block.decode(block.encode()).exact_leaves == block.exact_leaves


def test_decompression_bombs_are_cut_short():
    compressor = zlib.compressobj(9)
    bomb = b"".join(compressor.compress(b"\0" * (1 << 20)) for _ in range(300)) + compressor.flush()
    assert len(bomb) < 1 << 20
    with pytest.raises(InvalidCertificate):
        unpack(bomb)


def test_versions_are_refused_with_both_numbers():
    text = json.dumps({"version": 7}).encode()
    with pytest.raises(InvalidCertificate, match="version 1 is required, received 7"):
        read(sealed(head(text) + END))


def test_a_block_cannot_ask_for_endless_work():
    """Counts are capped before anything is made of them: layers, exact leaves, and the leaves' text."""
    head = struct.pack("<III", 8, 1, 11_000_000)
    with pytest.raises(InvalidCertificate, match="layers"):
        Block.decode(head + b"\0" * 64)
    empty = np.zeros(0, dtype=np.int64)
    nothing = Refutations(empty, empty, np.zeros(0, dtype=np.uint8))
    leaf = ExactLeaf(0, 0, (), ())
    for leaves, message in (((leaf,) * (MAX_LEAVES + 1), "exact leaves"),
                            ((ExactLeaf(0, 0, (Fraction(10**4000),) * 5000, ()),), "take")):
        block = Block(1, (), nothing, leaves, np.zeros(0, dtype=bool), empty, np.zeros(0))
        with pytest.raises(InvalidCertificate, match=message):
            Block.decode(block.encode())
