"""``verifier model``: programs as files."""

from __future__ import annotations

from pathlib import Path

import highspy
import pytest

from tests import tiny
from verifier import cli

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(autouse=True)
def family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny.write_family(tmp_path)


def run(capsys, *arguments):
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def optimum(path):
    reader = highspy.Highs()
    reader.setOptionValue("output_flag", False)
    assert reader.readModel(str(path)) != highspy.HighsStatus.kError
    reader.run()
    return reader.getObjectiveValue()


@pytest.mark.parametrize("name", ["m.lp", "m.mps"])
def test_an_objective(capsys, name):
    code, lines, err = run(capsys, "model", "abs.onnx", "--box", "-0.7:1", "--objective", "3*Y_0 - X_0", "--output",
                           name)
    assert (code, err, lines[0]) == (0, "", "1")
    assert lines[1].startswith(f"{name}: 6 variables (2 binary), ")
    assert optimum(name) == pytest.approx(-2.8)


@pytest.mark.parametrize(("spec", "slack"), [("touches", 0.0), ("strict", 0.0)])
def test_a_counterexample(capsys, spec, slack):
    code, _, _ = run(capsys, "model", "abs.onnx", "--spec", f"{spec}.vnnlib", "--tighten", "--output", "m.lp")
    assert code == 0
    assert optimum("m.lp") == pytest.approx(slack)


def test_one_file_for_each_disjunct(capsys):
    code, lines, _ = run(capsys, "model", str(MODELS / "advisory.onnx"), "--spec",
                         str(MODELS / "advisory_behind_is_clear.vnnlib"), "--output", "m.lp")
    assert code == 0
    assert int(lines[0]) > 1
    assert all(Path(line.partition(":")[0]).exists() for line in lines[1:-1])


@pytest.mark.parametrize(("arguments", "message"), [
    (("--box", "0:1", "--output", "m.lp"), "a question is needed"),
    (("--spec", "touches.vnnlib", "--output", "m.txt"), "ending with .lp or .mps"),
    (("--spec", "touches.vnnlib", "--output", "nowhere/m.lp"), "a writable file"),
    (("--box", ":1", "--objective", "Y_0", "--output", "m.lp"), "inputs with bounds"),
])
def test_wrong_use(capsys, arguments, message):
    code, _, err = run(capsys, "model", "abs.onnx", *arguments)
    assert code == 2
    assert message in err
