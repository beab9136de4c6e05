"""How a run ends when something is wrong: a broken installation, and errors as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from verifier import cli
from verifier.ending import explain


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tiny.write_family(tmp_path)


def without(library: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m verifier`` where a library is installed that cannot be imported."""
    hidden = Path(f"without_{library}")
    hidden.mkdir(exist_ok=True)
    (hidden / f"{library}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{library}'\", "
                                          f"name='{library}')\n")
    path = os.pathsep.join([str(hidden.resolve()), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run([sys.executable, "-m", "verifier", *arguments], text=True, timeout=60, check=False,
                          capture_output=True, env={**os.environ, "PYTHONPATH": path})


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize(("library", "arguments"), [
    ("click", ["verify", "abs.onnx", "strict.vnnlib"]),
    ("numpy", ["verify", "abs.onnx", "strict.vnnlib"]),
    ("flint", ["info", "abs.onnx"]),
    ("highspy", ["verify", "abs.onnx", "strict.vnnlib"]),
    ("onnx", ["check", "proof", "abs.onnx", "strict.vnnlib"]),
    ("cdd", ["reach", "abs.onnx", "--box", "0:1"]),
    ("numba", ["suite", "."]),
])
def test_a_missing_library_is_named_and_is_no_verdict(library: str, arguments: list[str]) -> None:
    for extra in ([], ["--json"]):
        done = without(library, *arguments, *extra)
        assert done.returncode == 70
        said = done.stderr.splitlines()
        assert len(said) == 1
        assert said[0].startswith("verifier: internal error: ")
        assert f"the library {library} cannot be loaded" in said[0]
        if extra:
            assert json.loads(done.stdout) == {"error": "internal error", "exit_code": 70,
                                               "message": said[0].removeprefix("verifier: ")}
        else:
            assert done.stdout == ""


def test_what_cannot_be_loaded_is_named_where_python_knows_it() -> None:
    assert explain(ImportError("libcdd.so.0: cannot open", name="cdd._cdd")).startswith("the library cdd cannot be ")
    assert explain(ImportError("Numba needs another NumPy")).endswith("(Numba needs another NumPy)")
    assert explain(ImportError("no name f", name="verifier.api")).startswith("a part of this program cannot be loaded")


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize(("arguments", "code", "kind"), [
    (["verify", "missing.onnx", "strict.vnnlib"], 2, "wrong use or bad input"),
    (["verify", "abs.onnx", "strict.vnnlib", "--timeout", "0"], 2, "wrong use or bad input"),
    (["verify", "abs.onnx"], 2, "wrong use or bad input"),
    (["check", "abs.onnx", "abs.onnx", "strict.vnnlib"], 4, "certificate rejected"),
    (["check", "missing", "abs.onnx", "strict.vnnlib"], 2, "wrong use or bad input"),
    (["info", "strict.vnnlib"], 2, "wrong use or bad input"),
    (["suite", "missing"], 2, "wrong use or bad input"),
    (["range", "abs.onnx", "--box", "1:0"], 2, "wrong use or bad input"),
    (["reach", "abs.onnx"], 2, "wrong use or bad input"),
    (["reach", "abs.onnx", "--box", "0:1", "--layer", "9"], 2, "wrong use or bad input"),
    (["nonsense"], 2, "wrong use or bad input"),
])
def test_errors_are_json_too(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, kind: str) -> None:
    assert cli.run(arguments) == code
    plain = capsys.readouterr()
    assert cli.run([*arguments, "--json"]) == code
    out, err = capsys.readouterr()
    assert (plain.out, plain.err) == ("", err)
    said = json.loads(out)
    assert (said["error"], said["exit_code"]) == (kind, code)
    assert said["message"] in " ".join(err.split())


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize(("error", "code", "kind"), [
    (KeyboardInterrupt(), 130, "interrupted"), (RuntimeError("two\nlines"), 70, "internal error"),
])
def test_failures_are_json_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
                               error: BaseException, code: int, kind: str) -> None:
    def verify(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr("verifier.api.verify", verify)
    assert cli.run(["verify", "abs.onnx", "strict.vnnlib", "--json"]) == code
    said = json.loads(capsys.readouterr().out)
    assert (said["error"], said["exit_code"]) == (kind, code)
    assert "\n" not in said["message"]
