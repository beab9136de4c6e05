from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import tiny
from tests.test_workers import wait_for
from verifier.files import NewFile
from verifier.formats.errors import InputError
from verifier.results import ResultsFile, Row, contradictions, read_expected, summarise
from verifier.sharing import SharingExecutor
from verifier.suite import (
    Instance,
    Options,
    decide_instance,
    open_results,
    read_instances,
    remaining,
    run_suite,
)


def decide_by_name(instance: Instance, _executor: SharingExecutor) -> Row:
    match instance.network:
        case "crash.onnx":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang.onnx":
            time.sleep(60)
        case "raise.onnx":
            raise RuntimeError("a bug\nof ours")
        case "slow.onnx":
            time.sleep(0.1)
    return Row(instance.network, instance.property, "holds", "unsat", boxes=3, reason="so, it is")


def instances(folder: Path, *names: str, timeout: str = "20") -> list[Instance]:
    lines = [f"{name}.onnx,p{i}.vnnlib,{timeout}\n" for i, name in enumerate(names)]
    (folder / "instances.csv").write_text("".join(lines))
    return read_instances(folder)


def test_reading_instances(tmp_path: Path) -> None:
    lines = ["onnx/a.onnx,p.vnnlib,116", "", "onnx/a.onnx.gz,p.vnnlib.gz", "a.onnx, q.vnnlib ,1.5"]
    (tmp_path / "instances.csv").write_text("\n".join(lines) + "\n")
    read = read_instances(tmp_path)
    assert read == read_instances(tmp_path / "instances.csv")
    assert [(i.network, i.property, i.timeout, i.name) for i in read] == [
        ("onnx/a.onnx", "p.vnnlib", 116.0, "a-p"), ("onnx/a.onnx.gz", "p.vnnlib.gz", None, "a-p-2"),
        ("a.onnx", "q.vnnlib", 1.5, "a-q")]
    assert {i.timeout for i in read_instances(tmp_path, timeout=7)} == {7}


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "at least one instance"), ("a.onnx\n", ":1: network,property,timeout"), ("a,b,c\n", "'c'"),
    ("a,b,nan\n", "'nan'"), ("a,b,-1\n", "'-1'"), ('a,"b\n', "csv"), ("a,b,1,2\n", "network,property,timeout"),
])
def test_malformed_instances(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "instances.csv").write_text(text)
    with pytest.raises(InputError, match=complaint):
        read_instances(tmp_path)


def test_a_bad_instance_becomes_a_row_and_the_suite_goes_on(tmp_path: Path) -> None:
    work = instances(tmp_path, "crash", "good", "raise", "hang", "good", timeout="0.5")
    with open_results(tmp_path / "out", resume=False) as file:
        finished = list(run_suite(work, Options(), jobs=2, results=file, decide=decide_by_name, grace=0.0))
    rows = {row.property: row for row, _ in finished}
    assert [(rows[i.property].verdict, rows[i.property].result) for i in work] == [
        ("unknown", "error"), ("holds", "unsat"), ("unknown", "error"), ("unknown", "timeout"), ("holds", "unsat")]
    assert "SIGSEGV" in rows["p0.vnnlib"].reason
    assert any("decide_by_name" in details for row, details in finished if row.property == "p2.vnnlib")
    with open_results(tmp_path / "out", resume=True) as file:
        assert {row.property: row.result for row in file.rows} == {p: row.result for p, row in rows.items()}
        assert {row.reason for row in file.rows} >= {"RuntimeError: a bug of ours", "so, it is"}


def test_resume_after_kill_neither_loses_nor_repeats_a_row(tmp_path: Path) -> None:
    work = instances(tmp_path, *["slow"] * 12)
    script = ("import sys; from pathlib import Path; from verifier.suite import *; from tests.test_suite import *\n"
              "if __name__ == '__main__':\n"
              "    folder = Path(sys.argv[1])\n"
              "    with open_results(folder, resume=True) as file:\n"
              "        work = read_instances(folder)\n"
              "        list(run_suite(work, Options(), jobs=2, results=file, decide=decide_by_name))\n")
    results = tmp_path / "results.csv"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) as process:
        wait_for(lambda: results.exists() and results.read_bytes().count(b"\n") >= 4)
        process.kill()
    before = results.read_bytes()
    with results.open("ab") as file:
        file.write(b'slow.onnx,p9.vnnlib,holds,unsat,0.1,"torn')
    with open_results(tmp_path, resume=True) as kept:
        left = remaining(work, kept.rows)
        assert len(kept.rows) == before.count(b"\n") - 1
        assert len(left) == 12 - len(kept.rows) > 0
        list(run_suite(left, Options(), jobs=2, results=kept, decide=decide_by_name))
    assert results.read_bytes().startswith(before)
    with open_results(tmp_path, resume=True) as kept:
        assert sorted(row.property for row in kept.rows) == sorted(i.property for i in work)
        assert remaining(work, kept.rows) == []


def test_an_instance_listed_twice_is_run_twice(tmp_path: Path) -> None:
    (tmp_path / "instances.csv").write_text("a.onnx,p.vnnlib,1\n" * 3)
    work = read_instances(tmp_path)
    assert [i.name for i in work] == ["a-p", "a-p-2", "a-p-3"]
    assert remaining(work, [Row("a.onnx", "p.vnnlib", "holds", "unsat")]) == work[1:]


def test_earlier_results_are_kept_and_foreign_files_refused(tmp_path: Path) -> None:
    with open_results(tmp_path, resume=False) as file:
        file.append(Row("a", "b", "holds", "unsat", reason='a "quoted", reason'))
    with open_results(tmp_path, resume=True) as file:
        assert [row.reason for row in file.rows] == ['a "quoted", reason']
    with open_results(tmp_path, resume=False) as file:
        assert file.rows == []
        assert file.moved == tmp_path / "results.csv~"
    for foreign in ("something,else\n1,2\n", "no line at all"):
        (tmp_path / "results.csv").write_text(foreign)
        with pytest.raises(InputError, match="heading"):
            open_results(tmp_path, resume=True)
        assert (tmp_path / "results.csv").read_text() == foreign
    (tmp_path / "results.csv").write_text("network,prop")
    with open_results(tmp_path, resume=True) as file:
        file.append(Row("a", "b", "holds", "unsat"))
    with open_results(tmp_path, resume=True) as file:
        assert len(file.rows) == 1
    with pytest.raises(InputError, match="folder"):
        open_results(tmp_path / "results.csv", resume=True)


def test_expectations(tmp_path: Path) -> None:
    path = tmp_path / "expected.csv"
    path.write_text("network,property,expected\na.onnx,p.vnnlib,sat\na.onnx,q.vnnlib,disputed\nb.onnx,p.vnnlib,holds\n")
    expected = read_expected(path)
    assert expected == {("a.onnx", "p.vnnlib"): "sat", ("b.onnx", "p.vnnlib"): "unsat"}
    rows = [Row("onnx/a.onnx", "x/p.vnnlib", "holds", "unsat", cpu_seconds=1.0, boxes=2),
            Row("a.onnx", "q.vnnlib", "violated", "sat", cpu_seconds=4.0, boxes=3),
            Row("b.onnx", "p.vnnlib", "unknown", "timeout", cpu_seconds=2.0)]
    assert contradictions(rows, expected) == [(rows[0], "sat")]
    summary = summarise(rows, 4, expected, 5.0)
    assert (summary.decided, summary.instances, summary.wrong, summary.compared, summary.timeouts) == (2, 4, 1, 1, 1)
    assert (summary.cpu_seconds, summary.median_cpu_seconds, summary.boxes) == (7.0, 2.0, 5)
    assert summary.worst == "a.onnx q.vnnlib"


def test_a_new_file_is_there_complete_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "proof"
    place.write_bytes(b"old")
    with NewFile(place) as new:
        new.file.write(b"half")
    assert place.read_bytes() == b"old"
    with NewFile(place) as new:
        new.file.write(b"whole")
        assert place.read_bytes() == b"old"
        new.commit()
    assert place.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["proof"]
    with NewFile(Path(os.devnull)) as new:
        new.commit()
    assert not Path(os.devnull).is_file()
    with pytest.raises(InputError, match="can be written"):
        NewFile(tmp_path / "missing" / "proof")


def test_deciding_in_workers(tmp_path: Path) -> None:
    family = tiny.write_family(tmp_path)
    with (family / "instances.csv").open("a") as file:
        file.write("missing.onnx,strict.vnnlib,20\n")
    output = tmp_path / "out"
    with ResultsFile(tmp_path / "results.csv", resume=False) as results:
        rows = [row for row, _ in run_suite(read_instances(family), Options(output), memory_mib=4096, results=results)]
    assert [row.result for row in rows] == ["sat", "unsat", "error"]
    assert "missing.onnx" in rows[2].reason
    assert sorted(os.listdir(output / "certificates")) == sorted(row.certificate for row in rows[:2])
    for row in rows[:2]:
        assert (output / "certificates" / row.certificate).stat().st_size == row.certificate_bytes > 0
        assert row.check
        assert row.peak_mib > 1
    assert (output / "witnesses" / "abs-touches.txt").read_text() == "sat\n((X_0 0)\n (Y_0 0))\n"


def test_exhausted_memory_is_an_error_of_one_instance(tmp_path: Path) -> None:
    work = read_instances(tiny.write_family(tmp_path))
    rows = [row for row, _ in run_suite(work, Options(), decide=eat_or_decide, memory_mib=2048)]
    assert (rows[0].result, rows[0].reason) == ("error", "out of memory")
    assert rows[1].result == "unsat"


def eat_or_decide(instance: Instance, executor: SharingExecutor) -> Row:
    if instance.property == "touches.vnnlib":
        bytearray(4 * 2**30)
    return decide_instance(Options(), instance, executor)


def test_bounds_may_be_required(tmp_path: Path) -> None:
    tiny.write_absolute_value(tmp_path / "abs.onnx")
    tiny.write_property(tmp_path / "open.vnnlib", tiny.HOLDS, bounds="(assert (<= X_0 1))")
    (tmp_path / "instances.csv").write_text("abs.onnx,open.vnnlib,20\n")
    ((row, _),) = run_suite(read_instances(tmp_path), Options(strict_bounds=True))
    assert row.result == "error"
    assert "X_0" in row.reason
