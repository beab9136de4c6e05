"""Ctrl-C: what was proved until then is told, the exit code is 130, and nothing half done is left behind."""

from __future__ import annotations

import json
from fractions import Fraction as F
from pathlib import Path

import pytest

from tests.engines.test_propagate import cube, modular
from verifier import cli, cli_regions, counting, sets
from verifier.engines import optimum
from verifier.engines.cell_units import Harvest
from verifier.engines.nearest import NearestSearch
from verifier.engines.region_walk import RegionWalk
from verifier.kernel.network import Network
from verifier.properties.output_range import Kind
from verifier.properties.regions import RegionKind
from verifier.radius import robustness_radius
from verifier.time_limits import Interrupted

MODELS = Path(__file__).parents[1] / "models"
NETWORK = modular((2, 5, 5, 5, 1), 7)  # 73 regions on [-1, 1]^2: 51 linear ones and maps
SEVEN = [str(MODELS / "random_7x7.onnx"), "--box=-1:1"]


def interrupt(monkeypatch, owner, name, after):
    """Let an iterator method of a class be interrupted after some results."""
    original = getattr(owner, name)

    def method(*arguments, **options):
        for number, result in enumerate(original(*arguments, **options)):
            if number == after:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(owner, name, method)


def one_by_one(monkeypatch):
    """Let a walk hand out its cells one by one, so that it can be interrupted between any two."""
    original = RegionWalk.batches

    def batches(walk, collect=True):
        for batch in original(walk, True):
            for cell in batch.cells:
                yield type(batch)(1, [cell])

    monkeypatch.setattr(RegionWalk, "batches", batches)


@pytest.mark.parametrize("kind", list(RegionKind))
@pytest.mark.parametrize("after", [0, 1, 40, 72])
def test_an_interrupted_count_is_a_bracket(monkeypatch, kind, after):
    right = {RegionKind.ACTIVATION: 73, RegionKind.LINEAR: 51, RegionKind.AFFINE: 51}[kind]
    one_by_one(monkeypatch)
    interrupt(monkeypatch, RegionWalk, "batches", after)
    with pytest.raises(Interrupted) as stopped:
        counting.count_regions(NETWORK, cube(2), kind=kind)
    found = stopped.value.result
    assert found.kind is kind
    assert found.lower <= right <= found.upper
    assert found.lower == (after if kind is RegionKind.ACTIVATION else min(after, 1))


def test_regions_tells_the_bracket(monkeypatch, capsys):
    one_by_one(monkeypatch)
    interrupt(monkeypatch, RegionWalk, "batches", 7)
    assert cli.run(["regions", *SEVEN]) == 130
    told = capsys.readouterr()
    first = told.out.splitlines()[0]
    assert first.startswith("7..")
    assert int(first[3:]) >= 483
    assert told.err == "verifier: interrupted\n"


def test_what_is_around_points_is_kept(monkeypatch, capsys, tmp_path):
    points, table = tmp_path / "points.csv", tmp_path / "table.csv"
    points.write_text("0,0,0\n1/2,0,0\n0,1/3,0\n")
    interrupt(monkeypatch, counting, "around", 2)
    arguments = ["--around", str(points), "--radius", "1/100", "--norm", "inf", "--output", str(table)]
    assert cli.run(["regions", str(MODELS / "random_7x7.onnx"), *arguments]) == 130
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == "2"
    assert told.err == "verifier: interrupted after 2 of 3 points\n"
    assert len(table.read_text().splitlines()) == 3  # and the names of the columns


def test_a_part_of_a_reachable_set_is_told_and_not_written(monkeypatch, capsys, tmp_path):
    file, proof = tmp_path / "set.json", tmp_path / "set.cert"
    interrupt(monkeypatch, Harvest, "__iter__", 0)
    assert cli.run(["reach", *SEVEN, "--output", str(file), "--certificate", str(proof)]) == 130
    told = capsys.readouterr()
    assert told.out.startswith("unknown\nwhy: the work was interrupted; what follows is of a part of the set\n")
    unwritten = [f"verifier: {path}: not written, the set is not finished" for path in (file, proof)]
    assert told.err.splitlines() == ["verifier: interrupted", *unwritten]
    assert not file.exists()
    assert not proof.exists()


def test_ends_of_ranges_that_were_proved_stay(monkeypatch, capsys):
    solve = sets._Task.solve
    solved = []

    def method(task):
        if len(solved) == 3:
            raise KeyboardInterrupt
        solved.append(task)
        return solve(task)

    monkeypatch.setattr(sets._Task, "solve", method)
    assert cli.run(["range", *SEVEN, "--json"]) == 130
    told = json.loads(capsys.readouterr().out)
    kinds = [told["ranges"][number][end]["kind"] for number in range(2) for end in ("minimum", "maximum")]
    assert kinds == ["attained", "attained", "attained", "unknown"]
    assert told["ranges"][1]["maximum"]["reason"] == sets.INTERRUPTED


def test_an_interrupted_range_has_all_objectives(monkeypatch):
    def method(task):
        raise KeyboardInterrupt

    monkeypatch.setattr(sets._Task, "solve", method)
    with pytest.raises(Interrupted) as stopped:
        sets.output_range(NETWORK, cube(2))
    (found,) = stopped.value.result
    assert (found.minimum.kind, found.maximum.kind) == (Kind.UNKNOWN, Kind.UNKNOWN)


def test_an_interrupted_radius_is_an_interval(monkeypatch):
    confirm = NearestSearch.run

    def run(search):
        confirm(search)  # the tie at distance 1/2 is found, and proved to be the nearest
        raise KeyboardInterrupt

    monkeypatch.setattr(NearestSearch, "run", run)
    identity = Network.from_arrays(weights=[[[1, 0], [0, 1]]], biases=[[0, 0]])
    with pytest.raises(Interrupted) as stopped:
        robustness_radius(identity, (2, 1), label=0)
    assert stopped.value.result.upper == F(1, 2)

    def early(search):
        raise KeyboardInterrupt

    monkeypatch.setattr(NearestSearch, "run", early)
    with pytest.raises(Interrupted) as stopped:
        robustness_radius(identity, (2, 1), label=0)
    assert (stopped.value.result.lower, stopped.value.result.upper) == (0, None)


def test_a_verdict_outlives_the_set_of_all_counterexamples(monkeypatch, capsys, tmp_path):
    interrupt(monkeypatch, Harvest, "__iter__", 0)
    file = tmp_path / "all.json"
    arguments = [str(MODELS / name) for name in ("absolute_above.onnx", "absolute_above_exceeds_e.vnnlib")]
    assert cli.run(["verify", *arguments, "--all", "--output", str(file)]) == 130
    told = capsys.readouterr().out
    assert told.startswith("violated\n")
    assert "all counterexamples: unfinished, interrupted: 0 parts, in 0 cells\n" in told
    assert not file.exists()


def test_the_best_that_an_interrupted_range_has_found_is_told(monkeypatch, capsys):
    search = optimum.search
    calls = []

    def late(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return search(*arguments, **options)

    monkeypatch.setattr(optimum, "search", late)
    assert cli.run(["range", *SEVEN]) == 130
    told = capsys.readouterr().out
    assert "unknown, the work was interrupted; the best found is" in told
    assert told.count("the best found is") == 1


@pytest.mark.parametrize("step", ["_write", "_certify"])
def test_a_count_outlives_the_files_about_it(monkeypatch, capsys, tmp_path, step):
    def stop(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_regions, step, stop)
    files = {"--output": tmp_path / "regions.jsonl", "--certificate": tmp_path / "count.cert"}
    arguments = [str(text) for option in files.items() for text in option]
    assert cli.run(["regions", str(MODELS / "absolute.onnx"), *arguments]) == 130
    told = capsys.readouterr().out
    assert told.startswith("2\n")
    for name, path in files.items():
        written = step == "_certify" and name == "--output"
        assert path.exists() == written
        assert (f"{name[2:]} (interrupted)" in told) == (not written)
