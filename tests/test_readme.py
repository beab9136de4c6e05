"""What README.md shows is what happens.

Fences marked ``console`` are transcripts: a line ``$ verifier ...`` is run, and what follows must be its output, except
for measured numbers.  The fence marked ``vnnlib`` is the property of the reader's own network, which is made here as
PyTorch would export it.  Fences marked ``python`` are doctests.  The first two fences are the README's two commands.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from verifier import cli
from verifier.formats.onnx_operators import OPERATORS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text()
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
MEASURED = ("time:", "CPU seconds", "check seconds", "wall seconds", "worst instance", "boxes", "certificates",
            "peak memory")
"""Lines of which only the beginning must agree."""


@dataclass(frozen=True)
class Shown:
    """A command and the lines shown below it."""

    command: str
    output: list[str]


def shown(transcript: str) -> list[Shown]:
    result: list[Shown] = []
    for line in transcript.splitlines():
        if line.startswith("$ "):
            result.append(Shown(line.removeprefix("$ "), []))
        else:
            result[-1].output.append(line)
    return result


def without_measures(line: str) -> str:
    if line.startswith("proof:"):  # how many boxes and bytes it takes depends on the search
        return line.partition(",")[0]
    return next((start for start in MEASURED if line.startswith(start)), line)


def write_own_network(folder: Path) -> None:
    (text,) = (text for language, text in FENCES if language == "vnnlib")
    (folder / "mine.vnnlib").write_text(text)
    tensors = {"0.weight": [[1, 1], [1, -1]], "0.bias": [0, 0], "2.weight": [[1, 1]], "2.bias": [0]}
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["input.1", "0.weight", "0.bias"], ["/0/Gemm_output_0"], transB=1),
         helper.make_node("Relu", ["/0/Gemm_output_0"], ["/1/Relu_output_0"]),
         helper.make_node("Gemm", ["/1/Relu_output_0", "2.weight", "2.bias"], ["7"], transB=1)], "main_graph",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("7", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(np.array(value, dtype=np.float32), name) for name, value in tensors.items()])
    save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "mine.onnx")


def test_the_readers_own_property_is_tight(tmp_path: Path) -> None:
    write_own_network(tmp_path)
    spec = tmp_path / "mine.vnnlib"
    assert len(spec.read_text().splitlines()) == 6
    spec.write_text(spec.read_text().replace("(> Y_0 2)", "(>= Y_0 2)"))
    assert cli.run(["verify", str(tmp_path / "mine.onnx"), str(spec)]) == cli.VIOLATED


@pytest.mark.parametrize("transcript", [text for language, text in FENCES if language == "console"])
def test_transcripts(transcript: str, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    write_own_network(tmp_path)
    code = None
    for command in shown(transcript):
        if command.command == "echo $?":
            assert command.output == [str(code)]
            continue
        program, *arguments = shlex.split(command.command)
        assert program == "verifier"
        done = subprocess.run([sys.executable, "-m", "verifier", *arguments], cwd=tmp_path, text=True, check=False,
                              timeout=120, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        code = done.returncode
        assert done.stderr == ""
        assert list(map(without_measures, done.stdout.splitlines())) == list(map(without_measures, command.output))


def test_a_transcript_is_compared_line_by_line() -> None:
    assert without_measures("time: 1 s") == without_measures("time: 2 s")
    assert without_measures("proof: by hand, 1 box") == without_measures("proof: by hand, 2 boxes")
    assert without_measures("proof: by hand, 1 box") != without_measures("proof: by luck, 1 box")
    assert without_measures("wrong  0") != without_measures("wrong  1")
    assert shown("$ a\n1\n2\n$ b\n") == [Shown("a", ["1", "2"]), Shown("b", [])]


@pytest.mark.parametrize("example", [text for language, text in FENCES if language == "python"])
def test_python_examples(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(example, {}, "README.md", "README.md", 0)
    outcome = doctest.DocTestRunner().run(test)
    assert outcome.attempted > 4
    assert outcome.failed == 0
    assert ("set.png" in example) == (tmp_path / "set.png").exists()


@pytest.mark.parametrize("command", [text.strip() for language, text in FENCES if language == "sh"
                                     and text.startswith("verifier ")])
def test_commands_that_write_files(command: str, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    arguments = shlex.split(command)[1:]
    subprocess.run([sys.executable, "-m", "verifier", *arguments], cwd=tmp_path, check=True, timeout=120,
                   capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    expected = {".png": b"\x89PNG", ".lp": b"\\* network *\\\nMinimize\n"}
    written = tmp_path / arguments[-1]
    assert written.read_bytes().startswith(expected[written.suffix])


def test_the_picture_is_drawn_in_five_lines() -> None:
    (drawn,) = [text for language, text in FENCES if language == "python" and "draw_set(" in text]
    assert drawn.count(">>> ") == 5
    assert sum(language == "sh" and " --plot" in text for language, text in FENCES) == 2


def test_the_first_two_commands_are_one_line_each() -> None:
    (first, install), (second, run) = FENCES[:2]
    assert (first, second) == ("sh", "sh")
    assert [text.count("\n") for text in (install, run)] == [1, 1]
    assert ".venv/bin/verifier verify models/" in install
    assert "pytest" in run
    for line in (install, run):
        subprocess.run(["/bin/sh", "-n", "-c", line], check=True)
    last = install.rsplit(" && ", 1)[1].split()
    done = subprocess.run([sys.executable, "-m", "verifier", *last[1:]], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == 0  # else the whole line would look like a failure


def options(page: str) -> dict[str, set[str]]:
    """The options that the README's table gives to each command."""
    result: dict[str, set[str]] = {name: set() for name in cli.commands.commands}
    for row in page.splitlines():
        if row.startswith("| `-"):
            _, names, commands, *_ = re.split(r" ?(?<!\\)\| ?", row)
            for command in result if commands == "all" else commands.split(", "):
                result[command] |= set(re.findall(r"(?<![\w-])--?[a-z-]+", names))
    return result


def test_every_option_is_explained() -> None:
    declared = {}
    for name, command in cli.commands.commands.items():
        context = click.Context(command, info_name=name, **cli.commands.context_settings)
        declared[name] = {option for parameter in command.get_params(context) if isinstance(parameter, click.Option)
                          for option in parameter.opts}
    assert options(PAGE) == declared


def test_every_operator_is_named() -> None:
    (names,) = re.findall(r"Supported are: ([\w,\s]*) \(", PAGE)
    assert re.split(r",\s+", names) == sorted(OPERATORS)


def test_every_exit_code_is_explained() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {cli.HOLDS, cli.VIOLATED, cli.WRONG_USE, cli.UNKNOWN, cli.REJECTED, cli.CONTRADICTED, cli.FAILED,
                     cli.INTERRUPTED}


@pytest.mark.parametrize("page", ["README.md", "verifier/README.md", "models/README.md", "benchmarks/PERFORMANCE.md",
                                  ".github/CONTRIBUTING.md", "verifier/kernel/CERTIFICATE.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), target
