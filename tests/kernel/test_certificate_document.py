"""The running example of CERTIFICATE.md, built from the page itself."""

from __future__ import annotations

import io
import json
import re
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import verifier
from verifier.formats.onnx import LoadedNetwork, read_network
from verifier.formats.vnnlib import Property, parse_property, read_property
from verifier.kernel import certificate as format_
from verifier.kernel.branches import split
from verifier.kernel.certificate import (
    Block,
    CertificateReader,
    CertificateWriter,
    ExactLeaf,
    InvalidCertificate,
    Refutations,
    StatedBounds,
)
from verifier.kernel.checker import ProofMachine
from verifier.properties.safety import Outcome
from verifier.radius_certificates import ProvedRadius

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "verifier" / "kernel" / "CERTIFICATE.md").read_text()


def fence(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return text


def integers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def stated(undecided: int, lower: tuple[float, ...] = (), upper: tuple[float, ...] = ()) -> StatedBounds:
    """Bounds of all undecided units, or of none."""
    return StatedBounds(np.full(undecided, bool(lower)), np.full(undecided, bool(upper)),
                        np.array(lower, dtype=np.float32), np.array(upper, dtype=np.float32))


NO_REFUTATIONS = Refutations(integers(), integers(), np.zeros(0, dtype=np.uint8))
ONE = Fraction(1)
BLOCKS = (
    Block(1, (stated(2, (-1.0078125, -2.015625), (2.015625, 1.0078125)), stated(0)),
          Refutations(integers(0), integers(1), np.array([128, 0], dtype=np.uint8)), (),
          np.array([True]), integers(0), np.array([0.0])),
    Block(2, (stated(4), stated(0)), NO_REFUTATIONS, (ExactLeaf(1, 0, (ONE,), ()),),
          np.array([False]), integers(1), np.array([0.0])),
    Block(2, (stated(2), stated(0)), NO_REFUTATIONS,
          (ExactLeaf(0, 0, (ONE,), ((1, ONE),)), ExactLeaf(1, 0, (ONE,), ())),
          np.zeros(0, dtype=bool), integers(), np.zeros(0)),
)


@pytest.fixture(scope="module")
def subject() -> tuple[LoadedNetwork, Property]:
    return read_network(ROOT / "models" / "absolute.onnx"), parse_property(fence("vnnlib"))


def written(header: dict[str, object], blocks: tuple[Block, ...]) -> io.BytesIO:
    stream = io.BytesIO()
    writer = CertificateWriter(stream, header)
    for block in blocks:
        writer.block(zlib.compress(block.encode()))
    writer.end_proof()
    writer.close()
    stream.seek(0)
    return stream


def in_words(machine: ProofMachine, number: int, block: Block) -> list[str]:
    """The block as the page tells it; ``machine`` is about to carry it out."""
    lines = [f"block {number} takes {block.count} branch{'es' if block.count > 1 else ''}"]
    taken = machine.stack.parts[-1]
    assert len(taken) == block.count
    for layer, bounds in enumerate(block.stated):
        branch, unit = taken.undecided(layer)
        for sign, mask, values in ((">=", bounds.lower_stated, bounds.lower),
                                   ("<=", bounds.upper_stated, bounds.upper)):
            lines += [f"  layer {layer + 1}: branch {b} unit {i} {sign} {value}"
                      for b, i, value in zip(branch[mask], unit[mask], values, strict=True)]
    for branch, row in zip(block.refutations.branch, block.refutations.row, strict=True):
        lines.append(f"  half-space {row} is false on branch {branch}, steps "
                     + " ".join(map(str, block.refutations.slopes)))
    for leaf in block.exact_leaves:
        units = " ".join(f"{unit}:{value}" for unit, value in leaf.units)
        lines.append(f"  exact leaf {leaf.branch} {leaf.disjunct}|{' '.join(map(str, leaf.rows))}|{units}")
    for on_input, index, point in zip(block.on_input, block.index, block.point, strict=True):
        lines.append(f"  split on input {index} at {point}" if on_input else f"  split on unit {index}")
    return lines


def test_the_blocks_in_words_are_the_blocks(subject: tuple[LoadedNetwork, Property]) -> None:
    network, prop = subject
    (query,) = prop.queries(network.network)
    machine = ProofMachine(query, exact=True)
    lines = []
    for number, block in enumerate(BLOCKS, start=1):
        lines += in_words(machine, number, block)
        machine.step(block)
    assert "\n".join(lines) + "\n" == fence("blocks")
    assert len(machine.stack) == 0


def test_the_bytes_of_the_first_block() -> None:
    data = bytes.fromhex(fence("hex"))
    assert BLOCKS[0].encode() == data
    assert Block.decode(data).encode() == data


@pytest.mark.parametrize("exact", [False, True])
def test_the_example_is_accepted(subject: tuple[LoadedNetwork, Property], exact: bool) -> None:
    stream = written(json.loads(fence("json")), BLOCKS)
    verdict = verifier.check(stream, *subject, exact=exact)
    assert verdict.outcome is Outcome.HOLDS
    assert verdict.statistics.boxes == 5


def test_the_header_is_that_of_the_search(subject: tuple[LoadedNetwork, Property]) -> None:
    stream = io.BytesIO()
    assert verifier.verify(*subject, certificate=stream).outcome is Outcome.HOLDS
    stream.seek(0)
    found, shown = CertificateReader(stream).header, json.loads(fence("json"))
    for free in ("tool", "options"):
        del found[free], shown[free]
    assert found == shown


def test_the_example_without_its_last_leaf_is_rejected(subject: tuple[LoadedNetwork, Property]) -> None:
    last = BLOCKS[2]
    shorter = Block(last.count, last.stated, last.refutations, last.exact_leaves[:1], last.on_input, last.index,
                    last.point)
    with pytest.raises(InvalidCertificate, match="stay open"):
        verifier.check(written(json.loads(fence("json")), (*BLOCKS[:2], shorter)), *subject)


@pytest.mark.parametrize("exact", [False, True])
def test_the_leaf_needs_its_multiplier(subject: tuple[LoadedNetwork, Property], exact: bool) -> None:
    last = BLOCKS[2]
    weaker = Block(last.count, last.stated, last.refutations, (ExactLeaf(0, 0, (ONE,), ()), last.exact_leaves[1]),
                   last.on_input, last.index, last.point)
    with pytest.raises(InvalidCertificate, match="does not refute"):
        verifier.check(written(json.loads(fence("json")), (*BLOCKS[:2], weaker)), *subject, exact=exact)


def test_the_numbers_of_the_page_are_those_of_the_program() -> None:
    assert f"version {format_.VERSION}\n" in PAGE.splitlines(keepends=True)[0]
    assert format_.MAGIC == b"relu-verifier certificate\n"
    assert len(format_.MAGIC) == 26
    assert (format_.MAX_HEADER_BYTES, format_.MAX_FRAME_BYTES, format_.MAX_DIGITS) == (2**26, 2**28, 100_000)
    assert format_.SLOPE_STEPS == 128


def test_children_are_pushed_as_the_page_says(subject: tuple[LoadedNetwork, Property]) -> None:
    network, prop = subject
    (query,) = prop.queries(network.network)
    machine = ProofMachine(query, exact=True)
    machine.step(BLOCKS[0])
    two = machine.stack.pop(2)
    assert (two.lo[:, 0].tolist(), two.hi[:, 0].tolist()) == ([-1, 0], [0, 2])
    four = split(two, np.array([True, True]), integers(0, 0), np.array([-0.5, 1.0]))
    assert four.lo[:, 0].tolist() == [-1, 0, -0.5, 1]


def radius_example() -> tuple[LoadedNetwork, Property]:
    folder = ROOT / "models"
    return read_network(folder / "absolute.onnx"), read_property(folder / "absolute_positive.vnnlib")


@pytest.mark.parametrize("exact", [False, True])
def test_the_example_of_a_radius_is_accepted(exact: bool) -> None:
    (leaf,) = re.findall(r"the one leaf `0 0\|1 1\|1:1`", PAGE)
    assert leaf
    block = Block(1, (stated(2), stated(0)), NO_REFUTATIONS, (ExactLeaf(0, 0, (ONE, ONE), ((1, ONE),)),),
                  np.zeros(0, dtype=bool), integers(), np.zeros(0))
    proved = verifier.check(written(json.loads(fence("json radius")), (block,)), *radius_example(), exact=exact)
    assert isinstance(proved, ProvedRadius)
    assert proved.radius.lower == proved.radius.upper == Fraction(1, 3)


def test_the_header_of_a_radius_is_that_of_the_search() -> None:
    stream = io.BytesIO()
    network, prop = radius_example()
    verifier.robustness_radius(network, [Fraction(-1, 3)], property=prop, norm="1", certificate=stream)
    stream.seek(0)
    found, shown = CertificateReader(stream).header, json.loads(fence("json radius"))
    for free in ("tool", "options"):
        del found[free], shown[free]
    assert found == shown
