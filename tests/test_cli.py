from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from verifier import api, cli
from verifier.engines.subtrees import SearchResult
from verifier.kernel.query import Query
from verifier.properties.safety import Outcome, Verdict


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tiny.write_family(tmp_path)


def shell(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parent.parent)
    return subprocess.run([sys.executable, "-m", "verifier", *arguments], text=True, timeout=60, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])},
                          **({"capture_output": True} | options))


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: Verdict | BaseException) -> None:
    def verify(*_arguments: Any, **_options: Any) -> Verdict:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr("verifier.api.verify", verify)


@pytest.mark.usefixtures("family")
def test_holds_from_the_shell() -> None:
    done = shell("verify", "abs.onnx", "strict.vnnlib", "--certificate", "proof")
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert first == "holds"
    assert any(line.startswith("proof: checked in ") for line in rest)
    assert "certificate: proof" in rest
    assert Path("proof").stat().st_size > 0
    done = shell("check", "proof", "abs.onnx", "strict.vnnlib")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "holds")


@pytest.mark.usefixtures("family")
def test_violated_from_the_shell() -> None:
    done = shell("verify", "abs.onnx", "touches.vnnlib", "--witness", "witness", "--certificate", "proof", "--exact")
    assert (done.returncode, done.stderr) == (10, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "violated"
    assert lines[lines.index("counterexample:") + 1] == "  X_0 = 0"
    assert lines[lines.index("exact outputs:") + 1] == "  Y_0 = 0"
    assert lines[lines.index("onnxruntime in float32: violates the property too") + 1] == "  Y_0 = 0"
    assert any("exact integers" in line for line in lines)
    assert Path("witness").read_text() == "sat\n((X_0 0)\n (Y_0 0))\n"
    done = shell("check", "proof", "abs.onnx", "touches.vnnlib", "--exact")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "violated")


@pytest.mark.usefixtures("family")
def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["verify", "abs.onnx", "touches.vnnlib", "--json"]) == 10
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "violated"
    assert (said["witness"]["inputs"], said["witness"]["outputs"]) == ({"X_0": "0"}, {"Y_0": "0"})
    assert said["replay"]["violates"] is True
    assert (said["seed"], said["certificate"]) == (0, None)
    assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--json", "--seed", "3"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verdict"], said["witness"], said["replay"], said["seed"]) == ("holds", None, None, 3)


def test_the_certificate_does_not_depend_on_jobs(family: Path) -> None:
    for jobs in ("1", "2"):
        assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--certificate", jobs, "--jobs", jobs]) == 0
    assert (family / "1").read_bytes() == (family / "2").read_bytes()


def test_a_check_that_runs_out_of_time_is_unknown(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--certificate", "proof"]) == 0
    capsys.readouterr()
    assert cli.run(["check", "proof", "abs.onnx", "strict.vnnlib", "--timeout", "0.000001"]) == 3
    assert capsys.readouterr().out.splitlines()[:2] == ["unknown", "why: the time limit was reached"]
    assert cli.run(["check", "proof", "abs.onnx", "strict.vnnlib", "--timeout", "600"]) == 0


def test_a_proof_that_is_not_checked_in_time_is_no_verdict(family: Path, monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    search = api.search

    def late(query: Query, **options: Any) -> SearchResult:
        time.sleep(1)
        return search(query, **{**options, "deadline": None})

    monkeypatch.setattr(api, "search", late)
    assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--certificate", "late", "--timeout", "1"]) == 3
    assert capsys.readouterr().out.splitlines()[1].endswith("while the search's proof was checked")
    assert not (family / "late").exists()


def test_unknown(family: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer_with(monkeypatch, Verdict(Outcome.UNKNOWN, "time ran out"))
    (family / "proof").write_text("earlier")
    assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--certificate", "proof", "--timeout", "1"]) == 3
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == ["unknown", "why: time ran out"]
    assert "certificate" not in out
    assert (family / "proof").read_text() == "earlier"
    assert not list(family.glob(".*"))


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize(("error", "code", "sentence"), [
    (RuntimeError("two\nlines"), 70, "verifier: internal error: RuntimeError: two lines\n"),
    (MemoryError(), 70, "verifier: internal error: MemoryError: \n"),
    (BrokenPipeError(32, "Broken pipe"), 70, "verifier: internal error: BrokenPipeError: [Errno 32] Broken pipe\n"),
    (SystemExit(0), 70, "verifier: internal error: SystemExit: 0\n"),
    (KeyboardInterrupt(), 130, "verifier: interrupted\n"),
])
def test_a_failure_never_looks_like_a_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
                                              error: BaseException, code: int, sentence: str) -> None:
    answer_with(monkeypatch, error)
    assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--certificate", "proof"]) == code
    assert tuple(capsys.readouterr()) == ("", sentence.replace(": \n", ":\n"))
    assert not list(Path().glob("*proof*"))


@pytest.mark.parametrize("arguments", [
    ["missing.onnx", "strict.vnnlib"], ["abs.onnx", "missing.vnnlib"], ["strict.vnnlib", "strict.vnnlib"],
    ["abs.onnx", "abs.onnx"], [".", "strict.vnnlib"], ["abs.onnx", "broken.vnnlib"], ["abs.onnx", "two.vnnlib"],
    ["abs.onnx", "strict.vnnlib", "--certificate", "missing/proof"],
    ["abs.onnx", "open.vnnlib", "--strict-bounds"],
])
def test_bad_input_is_one_sentence(family: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    (family / "broken.vnnlib").write_text("(declare-const X_0 Real)\n(assert (<= X_0 1)")
    (family / "two.vnnlib").write_text("".join(f"(declare-const {v} Real)" for v in ("X_0", "X_1", "Y_0"))
                                       + "(assert (<= Y_0 X_1))")
    tiny.write_property(family / "open.vnnlib", tiny.HOLDS, bounds="(assert (<= X_0 1))")
    assert cli.run(["verify", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("verifier: ")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize("arguments", [
    [], ["verify"], ["nonsense"], ["verify", "abs.onnx", "strict.vnnlib", "--timeout", "nan"],
    ["verify", "abs.onnx", "strict.vnnlib", "--timeout", "-1"],
    ["verify", "abs.onnx", "strict.vnnlib", "--engine", "guess"], ["suite", ".", "--jobs", "0"],
    ["suite", ".", "--resume"], ["suite", "missing"], ["check", "missing", "abs.onnx"], ["check", ".", "abs.onnx"],
    ["info", "missing.onnx"],
])
def test_wrong_use(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, bool(err)) == ("", True)


def test_a_rejected_certificate(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--certificate", "proof"]) == 0
    capsys.readouterr()
    whole = (family / "proof").read_bytes()
    for spoiled in (b"", b"nonsense", whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        (family / "proof").write_bytes(spoiled)
        assert cli.run(["check", "proof", "abs.onnx", "strict.vnnlib"]) == 4
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("verifier: certificate rejected: ")
    (family / "proof").write_bytes(whole)
    assert cli.run(["check", "proof", "abs.onnx", "touches.vnnlib"]) == 4


@pytest.mark.usefixtures("family")
def test_a_traceback_only_when_asked_for() -> None:
    script = ("import sys; from unittest import mock; from verifier import cli\n"
              "with mock.patch('verifier.api.verify', side_effect=ZeroDivisionError('ours')):\n"
              "    cli.main(['verify', 'abs.onnx', 'strict.vnnlib', *sys.argv[1:]])")
    for options, traceback in (([], False), (["-v"], True)):
        done = subprocess.run([sys.executable, "-c", script, *options], capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        assert (done.returncode, done.stdout) == (70, "")
        assert done.stderr.startswith("verifier: internal error: ZeroDivisionError: ours\n")
        assert ("Traceback" in done.stderr) is traceback


@pytest.mark.usefixtures("family")
def test_a_reader_that_goes_away_does_not_change_the_code() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = shell("verify", "abs.onnx", "touches.vnnlib", capture_output=False, stdout=closed,
                     stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (10, "")


@pytest.mark.usefixtures("family")
def test_output_that_cannot_be_written_is_a_failure() -> None:
    with open("/dev/full", "w") as full:
        done = shell("verify", "abs.onnx", "touches.vnnlib", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("family")
def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", "abs.onnx"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "abs.onnx"
    assert "input: x, shape 1 x 1" in lines
    assert "layer 1: 1 -> 2 ReLU" in lines
    assert "units: 2 ReLU, 1 linear" in lines
    assert "parameters: 7" in lines
    assert cli.run(["info", "abs.onnx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["units"] == {"ReLU": 2, "linear": 1}


def test_help_and_version() -> None:
    done = shell("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in ("verify", "check", "info", "suite"))
    done = shell("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "verifier")


def test_a_suite_from_the_shell(family: Path) -> None:
    (family / "expected.csv").write_text("network,property,expected\nabs.onnx,touches.vnnlib,sat\n")
    done = shell("suite", ".", "--output", "out", "--jobs", "2", "--check", "exact", "--seed", "5")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "2/2"
    assert "wrong           0 of 1 compared with expected.csv" in lines
    rows = (family / "out" / "results.csv").read_text()
    assert "touches.vnnlib,violated,sat," in rows
    assert "strict.vnnlib,holds,unsat," in rows
    assert "exact integers" in rows
    again = shell("suite", "instances.csv", "--output", "out", "--resume", "--json")
    assert json.loads(again.stdout)["decided"] == 2
    assert (family / "out" / "results.csv").read_text() == rows
    for proof in (family / "out" / "certificates").iterdir():
        assert shell("check", str(proof), "abs.onnx", f"{proof.stem.removeprefix('abs-')}.vnnlib").returncode == 0


def test_a_suite_that_contradicts_and_one_that_is_undecided(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (family / "expected.csv").write_text("network,property,expected\nabs.onnx,touches.vnnlib,unsat\n")
    assert cli.run(["suite", "."]) == 5
    assert "contradiction: abs.onnx touches.vnnlib: expected unsat, decided sat" in capsys.readouterr().out.splitlines()
    (family / "instances.csv").write_text("abs.onnx,touches.vnnlib,20\nmissing.onnx,strict.vnnlib,20\n")
    (family / "expected.csv").unlink()
    assert cli.run(["suite", "."]) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "1/2"
    assert "missing.onnx" in err


def test_the_command_line_starts_light() -> None:
    script = ("import sys, verifier.cli\n"
              "print([m for m in ('numpy', 'onnx', 'onnxruntime', 'numba', 'rich', 'flint') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.stdout == "[]\n"


def test_who_sits_at_a_terminal_is_told_of_compiling(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiling = logging.getLogger("verifier.geometry.just_in_time")
    before = compiling.handlers, compiling.level
    try:
        for terminal in (False, True):
            stream = io.StringIO()
            monkeypatch.setattr(stream, "isatty", lambda terminal=terminal: terminal)
            monkeypatch.setattr(sys, "stderr", stream)
            assert cli.run(["info", str(family / "abs.onnx")]) == 0
            compiling.info("compiling")
            assert stream.getvalue() == "verifier: compiling\n" * terminal
    finally:
        compiling.handlers = before[0]
        compiling.setLevel(before[1])


def test_long_quotients_are_printed_whole() -> None:
    from verifier.report import quotient

    power = 10**5000
    assert quotient(Fraction(-power, 3)) == "-1" + "0" * 5000 + "/3"
    assert quotient(Fraction(7)) == "7"


def test_an_output_never_replaces_an_input(tmp_path):
    """A certificate written over the network, or over the witness, would destroy what it speaks of."""
    network, spec = tmp_path / "n.onnx", tmp_path / "p.vnnlib"
    network.write_bytes(Path("models/zero.onnx").read_bytes())
    spec.write_bytes(Path("models/zero_negative.vnnlib").read_bytes())
    before = network.read_bytes()
    for options in (["--certificate", str(network)], ["--witness", str(spec)],
                    ["--certificate", str(tmp_path / "same"), "--witness", str(tmp_path / "same")]):
        done = subprocess.run([sys.executable, "-m", "verifier", "verify", str(network), str(spec), *options],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "in use for something else" in done.stderr
    assert network.read_bytes() == before
    assert not (tmp_path / "same").exists()


def test_numbers_beyond_floats_are_decided(tmp_path):
    """|x| >= 1e400 has a counterexample, although no float is that large."""
    network = tiny.write_absolute_value(tmp_path / "absolute.onnx")
    spec = tiny.write_property(tmp_path / "far.vnnlib", "(assert (>= Y_0 1e400))", bounds="")
    done = subprocess.run([sys.executable, "-m", "verifier", "verify", str(network), str(spec)],
                          capture_output=True, text=True, check=False)
    assert (done.stdout.splitlines()[0], done.returncode) == ("violated", 10)


def test_long_numbers_are_certified(tmp_path):
    """A counterexample of more than the 4300 digits that Python's own conversions allow, and a proof of such size."""
    network = tiny.write_absolute_value(tmp_path / "absolute.onnx")
    third, seventh = (f"0.{10**3800 // k}" for k in (3, 7))
    spec = tiny.write_property(tmp_path / "point.vnnlib", f"(assert (>= (+ (* {seventh} Y_0) X_0) 0))",
                               bounds=f"(assert (<= X_0 {third})) (assert (>= X_0 {third}))")
    certificate = str(tmp_path / "proof")
    for command in (["verify", str(network), str(spec), "--certificate", certificate],
                    ["check", certificate, str(network), str(spec)]):
        done = subprocess.run([sys.executable, "-m", "verifier", *command], capture_output=True, text=True, check=False)
        assert (done.stdout.splitlines()[0], done.returncode) == ("violated", 10 if command[0] == "verify" else 0)


@pytest.mark.usefixtures("family")
def test_a_witness_of_an_earlier_answer_does_not_stay(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["verify", "abs.onnx", "touches.vnnlib", "--witness", "w"]) == 10
    assert "witness file: w" in capsys.readouterr().out.splitlines()
    assert Path("w").exists()
    assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--witness", "w"]) == 0
    out, err = capsys.readouterr()
    assert "witness" not in out
    assert err == ("verifier: w: removed, it was written for an earlier answer and this one has no counterexample\n")
    assert not Path("w").exists()


def test_a_run_in_floats_that_leaves_the_box_is_told(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bounds = "(assert (>= X_0 0.1)) (assert (<= X_0 0.1))"  # no float32 number is 0.1
    tiny.write_property(family / "point.vnnlib", "(assert (>= Y_0 0))", bounds=bounds)
    assert cli.run(["verify", "abs.onnx", "point.vnnlib"]) == 10
    assert ("onnxruntime in float32: does not violate the property, only because the rounded input is outside the "
            "input constraints") in capsys.readouterr().out.splitlines()
    assert cli.run(["verify", "abs.onnx", "point.vnnlib", "--json"]) == 10
    said = json.loads(capsys.readouterr().out)["replay"]
    assert (said["violates"], said["rounded_out"]) == (False, True)


def test_a_run_in_floats_with_many_numbers_is_told_in_short() -> None:
    from verifier.formats.replay import Replay
    from verifier.properties.safety import Witness
    from verifier.report import Answer, answer_text

    x = tuple(Fraction(k, 7) for k in range(1, 20))
    verdict = Verdict(Outcome.VIOLATED, "why", Witness(x, x, 0, 0))
    names = [f"X_{k}" for k in range(len(x))]
    nearest = tuple(Fraction(float(v)) for v in x)
    lines = answer_text(Answer(verdict, names, names, Replay(nearest, nearest, "float64"), True), {}).splitlines()
    told = lines[lines.index("onnxruntime in float64: violates the property too") + 1:]
    assert len(told) == 2
    assert told[0].startswith("  at the nearest float64 input: 17 inputs rounded, by at most about 1.")
    assert told[1].startswith("  19 outputs, which differ from the exact ones by at most about 1.")


def test_every_field_of_a_certificates_header_is_checked(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a right checksum: another value, of the same or of another type, is rejected or (options, tool) unread."""
    import hashlib
    import struct

    from verifier.kernel.certificate import MAGIC

    for spec in ("strict", "touches"):
        assert cli.run(["verify", "abs.onnx", f"{spec}.vnnlib", "--certificate", "proof"]) in (0, 10)
        whole = (family / "proof").read_bytes()
        (length,) = struct.unpack_from("<I", whole, len(MAGIC))
        start = len(MAGIC) + 4
        header, rest = json.loads(whole[start:start + length]), whole[start + length:-32]
        capsys.readouterr()
        for key in header:
            odd: list[Any] = [None, True, 1.0, 0, -1, "", "x", [], [[]], {}, {"query": True, "x": ["0"]},
                              {"query": 0.0, "x": ["0"]}, {"query": 0, "x": "0"}, {"query": 0, "x": [0]},
                              {"query": 0, "x": ["1/0"]}, {"query": 0, "x": ["-0"]}, {"query": 0, "x": ["0", "0"]},
                              {"query": 1, "x": ["0"]}, {"query": 0, "x": ["nan"]}, header[key] * 2
                              if isinstance(header[key], str | list) else [header[key]]]
            for value in odd:
                text = json.dumps({**header, key: value}).encode()
                body = MAGIC + struct.pack("<I", len(text)) + text + rest
                (family / "proof").write_bytes(body + hashlib.sha256(body).digest())
                code = cli.run(["check", "proof", "abs.onnx", f"{spec}.vnnlib"])
                assert code == (0 if key in ("options", "tool") else 4), (key, value)
                assert capsys.readouterr().err.count("\n") == (code != 0)
