"""Certificates of radii: round trips, what ``verifier check`` says, and mutants with right checksums."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Iterable
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import pytest

import verifier
from tests import distances, mutations, tiny
from tests.engines.test_propagate import cube, modular
from tests.strategies import random_box, random_disjunct, random_network, random_point
from tests.test_certificates import changed, put_together, taken_apart
from verifier import cli
from verifier.formats.errors import InputError
from verifier.formats.vnnlib import parse_property
from verifier.kernel.certificate import Block, CertificateReader, InvalidCertificate
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.properties.radius import Change, Norm, Radius, changes
from verifier.radius import robustness_radius
from verifier.radius_certificates import ProvedRadius, RadiusProof, write_radius
from verifier.report_radius import radius_scope

ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])
IDENTITY = Network((Layer.identity(2),))
FOLDED = modular((2, 4, 4, 2), 7)
CENTER = (F(1, 3), F(1, 5))
LABEL = max(range(2), key=lambda k: FOLDED.evaluate(CENTER)[k])


def certified(network: Network, center: Iterable[F | int], **options: Any) -> tuple[bytes, Radius]:
    stream = io.BytesIO()
    found = robustness_radius(network, tuple(center), certificate=stream, **options)
    return stream.getvalue(), found


def confirmed(data: bytes, network: Network, given: Any = None, exact: bool = False) -> ProvedRadius:
    proved = verifier.check(io.BytesIO(data), network, given, exact=exact)
    assert isinstance(proved, ProvedRadius)
    return proved


def told(found: Radius) -> tuple[Any, ...]:
    return (found.norm, found.center, found.lower, found.upper, found.x, found.y, found.attained, found.inside,
            found.infinite)


# --- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(4))
def test_random_radii_are_those_of_brute_force_and_confirmed(block: int) -> None:
    """Degenerate and other networks, all norms, labels and properties of one or two boxes, strict rows among them."""
    for seed in range(9 * block, 9 * block + 9):
        rng = random.Random(seed)
        inputs = rng.choice((1, 2, 2))
        network = random_network(rng, rng.random() < 0.8, inputs=inputs, outputs=rng.choice((1, 2, 2, 3)))
        box = random_box(rng, inputs, True, bounded=True)
        center = random_point(rng, box)
        if rng.random() < 0.3:  # perhaps outside of the box
            center = tuple(c + F(rng.randint(-3, 3), 2) for c in center)
        norm, exact = rng.choice(("inf", "1", "2")), rng.random() < 0.5
        given: list[Query] | None = None
        options: dict[str, Any]
        if rng.random() < 0.5:
            change = Change(rng.randrange(network.outputs), rng.random() < 0.3, box)
            options = {"label": change.label, "smallest": change.smallest, "domain": box}
            queries = [changes(network, change)]
        else:
            boxes = [box, random_box(rng, inputs, True, bounded=True)][:rng.choice((1, 2))]
            given = queries = [Query(network, one, tuple(random_disjunct(rng, network, box, True)
                                                         for _ in range(rng.choice((1, 1, 2))))) for one in boxes]
            options = {"property": queries}
        data, found = certified(network, center, norm=norm, exact=exact, **options)
        expected = min((d for query in queries if (d := distances.distance(query, center, norm)) is not None),
                       default=None)
        assert found.is_exact
        assert (found.infinite, found.upper) == (expected is None, expected)
        if found.x is not None:
            assert distances.size(center, found.x, norm) == expected
        assert told(confirmed(data, network, given, not exact).radius) == told(found)


def test_an_interval_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search stops after its first boxes: what was proved by then is what the certificate says."""
    monkeypatch.setattr("verifier.engines.nearest.NearestSearch._nothing_nearer", lambda _: True)
    data, found = certified(FOLDED, CENTER, label=LABEL, norm="2")
    assert 0 < found.lower < found.upper
    assert told(confirmed(data, FOLDED).radius) == told(found)
    header, proofs = taken_apart(data)
    for lower in (header["radius"][1], "0"):
        with pytest.raises(InvalidCertificate):
            confirmed(put_together(changed(header, ["radius", 0], lower), proofs), FOLDED)
    del header["point"]
    header["radius"][1] = None
    weaker = confirmed(put_together(header, proofs), FOLDED).radius
    assert (weaker.lower, weaker.upper) == (found.lower, None)


def test_nothing_is_certified_where_nothing_is_known() -> None:
    data, found = certified(FOLDED, CENTER, label=LABEL, timeout=1e-9)
    assert (data, found.says_something) == (b"", False)
    with pytest.raises(ValueError, match="nothing is known"):
        write_radius(io.BytesIO(), FOLDED, Change(0, False, cube(2)), (), found, RadiusProof(F(0), ()), {})
    header, proofs = taken_apart(certified(IDENTITY, (1, 1), label=0)[0])
    assert header["radius"] == ["0", "0"]
    del header["point"]
    with pytest.raises(InvalidCertificate, match="claims"):
        confirmed(put_together({**header, "radius": ["0", None]}, proofs), IDENTITY)


def test_a_property_must_be_named() -> None:
    negative = Query(ABSOLUTE, cube(1), ((HalfSpace((F(0), F(1)), F(1, 4), strict=True),),))
    data, found = certified(ABSOLUTE, (1,), property=[negative])
    assert (found.upper, found.attained) == (F(3, 4), False)
    assert told(confirmed(data, ABSOLUTE, [negative]).radius) == told(found)
    with pytest.raises(InputError, match="name its file"):
        confirmed(data, ABSOLUTE)
    with pytest.raises(InvalidCertificate, match="another question"):
        confirmed(data, ABSOLUTE, [Query(ABSOLUTE, cube(1), ((HalfSpace((F(0), F(1)), F(1, 4)),),))])
    data, _ = certified(IDENTITY, (2, 1), label=0)
    with pytest.raises(InputError, match="no queries"):
        confirmed(data, IDENTITY, [changes(IDENTITY, Change(0, False, cube(2)))])
    with pytest.raises(InvalidCertificate, match="other files"):
        confirmed(data, IDENTITY, parse_property("(declare-const X_0 Real)(declare-const X_1 Real)"
                                                 "(declare-const Y_0 Real)(declare-const Y_1 Real)(assert (>= Y_0 0))"))


# --- mutants ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "value"), [
    (["verdict"], "range"), (["verdict"], "holds"), (["version"], True), (["network"], "0" * 64),
    (["files"], {"property": "0"}), (["centre"], ["1/3"]), (["centre"], ["1/3", "0"]), (["centre"], "1"),
    (["norm"], "1"), (["norm"], "inf"), (["norm"], 2), (["norm"], []), (["radius"], []), (["radius"], [None, None]),
    (["radius", 0], "1"), (["radius", 0], "-1"), (["radius", 0], "0"), (["radius", 1], None), (["radius", 1], "0"),
    (["radius"], 1), (["directions"], []), (["directions"], [[]]), (["directions", 0, 0], ["0", "0"]),
    (["directions", 0, 0], ["1"]), (["directions", 0, 0], ["1", "1", "1"]), (["directions", 0], 1),
    (["change"], None), (["change", "label"], 1 - LABEL), (["change", "label"], 7), (["change", "label"], False),
    (["change", "smallest"], True), (["change", "smallest"], 0), (["change", "box"], [["-5", "5"]]),
    (["change", "box", 0], ["5", "-5"]), (["change", "box", 0], ["-5"]), (["change", "box", 0, 0], 1),
    (["point", "query"], 1), (["point", "query"], True), (["point", "x"], ["0", "0"]), (["point", "x"], []),
    (["point", "x"], ["1/3", "1/5"]), (["point", "limit"], ["0", "0"]), (["point", "limit"], ["0"]),
    (["point", "limit"], None), (["point"], 1), (["queries"], [])])
def test_a_changed_header(path: list[str | int], value: Any) -> None:
    data, found = certified(FOLDED, CENTER, label=LABEL, norm="2", domain=cube(2, 5))
    assert found.upper is not None
    assert found.upper > 0
    header, proofs = taken_apart(data)
    mutant = changed(header, path, value)
    if path == ["queries"]:
        del mutant["change"]
    with pytest.raises((InvalidCertificate, InputError)) as caught:
        confirmed(put_together(mutant, proofs), FOLDED)
    assert len(str(caught.value)) < 600
    assert not any(word in str(caught.value) for word in ("zip()", "unpack", "tuple index"))


def test_other_domains_are_other_claims() -> None:
    """The header defines the domain: in a smaller box the same proof and point speak of that box; in one that leaves
    out the point it is rejected, as it is where the proof does not reach."""
    data, found = certified(IDENTITY, (2, 1), label=0, domain=cube(2, 5))
    header, proofs = taken_apart(data)
    proved = confirmed(put_together(changed(header, ["change", "box", 0], ["0", "5"]), proofs), IDENTITY)
    assert proved.radius.upper == found.upper == F(1, 2)
    assert "0 <= X_0 <= 5" in radius_scope(proved, None)["domain"]
    with pytest.raises(InvalidCertificate):
        confirmed(put_together(changed(header, ["change", "box", 0], ["2", "5"]), proofs), IDENTITY)


def test_limits_are_limits() -> None:
    """|x| < 1/4 on [-1, 1], from 1: points tend to 1/4, not to -1/4, and not to nearer inputs."""
    below = Query(ABSOLUTE, cube(1), ((HalfSpace((F(0), F(1)), F(1, 4), strict=True),),))
    data, _ = certified(ABSOLUTE, (1,), property=[below])
    header, proofs = taken_apart(data)
    assert header["point"]["limit"] == ["1/4"]
    for limit in ("1/2", "-1/4", "2"):
        for upper in ("3/4", str(abs(1 - F(limit)))):
            mutant = changed(changed(header, ["point", "limit"], [limit]), ["radius", 1], upper)
            with pytest.raises(InvalidCertificate):
                confirmed(put_together(mutant, proofs), ABSOLUTE, [below])
    for x, limit, upper in (("-1/8", "-1/4", "5/4"), ("1/8", "0", "1")):  # true, and farther
        farther = changed(header, ["point"], {"query": 0, "x": [x], "limit": [limit]})
        proved = confirmed(put_together(changed(farther, ["radius", 1], upper), proofs), ABSOLUTE, [below])
        assert (proved.radius.lower, proved.radius.upper) == (F(3, 4), F(upper))


def test_proofs_of_parts_belong_where_they_are() -> None:
    """Two boxes, one left and one right of the centre: a proof dropped, doubled or exchanged proves nothing."""
    left = Query(ABSOLUTE, Box.from_bounds([-3], [-1]), ((HalfSpace((F(0), F(-1)), F(-2)),),))
    right = Query(ABSOLUTE, Box.from_bounds([0], [3]), ((HalfSpace((F(0), F(-1)), F(-5, 2)),),))
    center = (F(-1, 8),)
    data, found = certified(ABSOLUTE, center, property=[left, right], norm="2")
    assert found.upper == F(15, 8)**2
    header, proofs = taken_apart(data)
    reader = CertificateReader(io.BytesIO(data))
    first, second = [[block.encode() for block in reader.proof()] for _ in range(2)]
    assert first != second
    for parts in ([first], [second], [second, first], [first, first], [first, second, second], [[], second],
                  [first, []], []):
        with pytest.raises(InvalidCertificate):
            confirmed(put_together(header, framed(parts)), ABSOLUTE, [left, right])
    assert len(header["directions"][0]) != len(header["directions"][1])
    with pytest.raises(InvalidCertificate):
        confirmed(put_together({**header, "directions": header["directions"][::-1]}, proofs), ABSOLUTE, [left, right])
    with pytest.raises(InvalidCertificate, match="another question"):
        confirmed(data, ABSOLUTE, [right, left])


def framed(proofs: Iterable[Iterable[bytes]]) -> bytes:
    result = b""
    for blocks in proofs:
        for block in map(zlib.compress, blocks):
            result += struct.pack("<I", len(block)) + block
        result += bytes(4)
    return result


def test_mutants_are_rejected_or_prove_what_is_true() -> None:
    """Numbers of the header and fields of blocks changed at random; what is accepted is compared with brute force."""
    rng = random.Random(3)
    accepted = rejected = 0
    for norm in ("inf", "1", "2"):
        data, _ = certified(FOLDED, CENTER, label=LABEL, norm=norm, domain=cube(2, 4))
        header, proofs = taken_apart(data)
        reader = CertificateReader(io.BytesIO(data))
        blocks: list[Block] = list(reader.proof())
        truth: dict[str, F | None] = {}
        for _ in range(40):
            mutant, body = json.loads(json.dumps(header)), proofs
            match rng.randrange(6):
                case 0:
                    body = framed([mutations.mutant(rng, blocks)[1]])
                case 1:
                    mutant["norm"] = rng.choice(("inf", "1", "2"))
                case 2:
                    mutant["centre"][rng.randrange(2)] = rng.choice(("1/3", "1/4", "0"))
                case 3:
                    mutant["change"][rng.choice(("smallest", "smallest", "box"))] = rng.choice(
                        (True, [["-4", "4"], ["-1", "4"]]))
                case 4:
                    mutant["directions"][0].insert(0, [rng.choice(("1", "-1", "1/2")), rng.choice(("1", "-1", "0"))])
                    mutant["directions"][0] = mutant["directions"][0][:rng.choice((1, 2, 9))]
                case _:
                    factor = rng.choice((F(1, 2), F(2), F(1023, 1024), F(1025, 1024)))
                    mutant["radius"][0] = str(F(mutant["radius"][0]) * factor)
            try:
                found = confirmed(put_together(mutant, body), FOLDED)
            except InvalidCertificate:
                rejected += 1
                continue
            accepted += 1
            key = json.dumps([mutant["norm"], mutant["centre"], mutant["change"]])
            if key not in truth:
                assert found.change is not None
                truth[key] = distances.distance(changes(FOLDED, found.change), found.radius.center,
                                                found.radius.norm.value)
            expected = truth[key]
            assert expected is not None
            assert found.radius.upper is not None
            assert found.radius.lower <= expected <= found.radius.upper
    assert accepted >= 10
    assert rejected >= 40


# --- as typed --------------------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], str]:
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write_family(tmp_path)


@pytest.mark.usefixtures("family")
def test_check_says_the_radius_and_of_what(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["radius", "abs.onnx", "--center", "-1/3", "--spec", "touches.vnnlib", "--norm", "2"]
    code, lines, _ = run(capsys, *command, "--certificate", "r.cert")
    assert code == 0
    assert "certificate: r.cert" in lines
    code, again, err = run(capsys, "check", "r.cert", "abs.onnx", "touches.vnnlib", "--exact")
    assert (code, err) == (0, "")
    assert again[:6] == lines[:6]
    assert again[0] == "1/3 (about 0.3333333)"
    assert "centre: (-1/3)" in again
    assert "question: a counterexample of touches.vnnlib" in again
    code, again, _ = run(capsys, "check", "r.cert", "abs.onnx", "touches.vnnlib", "--json")
    answer = json.loads("\n".join(again))
    assert (answer["upper"], answer["norm"], answer["centre"], answer["change"]) == ("1/9", "2", ["-1/3"], None)
    assert run(capsys, "check", "r.cert", "abs.onnx")[0] == 2
    data = Path("r.cert").read_bytes()
    Path("r.cert").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert run(capsys, "check", "r.cert", "abs.onnx", "touches.vnnlib")[0] == 4


@pytest.mark.usefixtures("family")
def test_check_of_a_label(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = run(capsys, "radius", "abs.onnx", "--center", "1", "--label", "0", "--box", "-1:1",
                         "--certificate", "r.cert")
    assert (code, lines[0]) == (0, "inf")  # one output is always the largest
    code, lines, _ = run(capsys, "check", "r.cert", "abs.onnx")
    assert (code, lines[0]) == (0, "inf")
    assert "question: output 0 is not strictly the largest one" in lines
    assert "domain: -1 <= X_0 <= 1" in lines
    code, lines, err = run(capsys, "radius", "abs.onnx", "--center", "1", "--spec", "touches.vnnlib", "--timeout",
                           "1e-9", "--certificate", "none.cert")
    assert code == 3
    assert "nothing is known" in err
    assert not Path("none.cert").exists()
    assert run(capsys, "radius", "abs.onnx", "--center", "1", "--label", "0", "--certificate", "abs.onnx")[0] == 2


def test_long_centres_are_named_by_their_digest() -> None:
    radius = Radius(Norm.L1, (F(1, 3),) * 200, F(1), None)
    (centre, question) = radius_scope(ProvedRadius(radius, None), None).values()
    assert centre.startswith("200 coordinates, SHA-256 ")
    assert question == "a counterexample"
