from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from typing import Any

import pytest

from verifier.sharing import Ending, SharingExecutor
from verifier.workers import Job, Report, run_all


def work_a_while(argument: tuple[int, int | None]) -> tuple[int, int]:
    number, only_in = argument
    if only_in is not None and os.getpid() != only_in:
        os._exit(1)
    started = time.process_time()
    while time.process_time() - started < 0.02:
        pass
    return number * number, os.getpid()


def refuse_seven(number: int) -> int:
    time.sleep(0.01)
    if number == 7:
        raise ValueError("seven")
    return number


def task(payload: Any, executor: SharingExecutor) -> Any:
    match payload:
        case "die":
            os._exit(3)
        case "hang":
            time.sleep(60)
        case "raise":
            raise ValueError("no good")
        case "exhaust":
            raise MemoryError
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            return "went on"
        case "print":
            os.write(1, b"noise\n")
            return "printed"
        case "seven":
            return list(executor.map(refuse_seven, range(10)))
        case "early":
            first = list(islice(executor.map(work_a_while, [(i, None) for i in range(20)]), 3))
            second = list(executor.map(work_a_while, [(i, None) for i in range(5)]))
            return [v for v, _ in first], [v for v, _ in second]
        case "interleaved":
            maps = [executor.map(work_a_while, [(i, None) for i in range(6)]) for _ in range(2)]
            return [(a[0], b[0]) for a, b in zip(*maps, strict=True)]
        case ("share", count, alone):
            units = [(i, os.getpid() if alone else None) for i in range(count)]
            return list(executor.map(work_a_while, units)), os.getpid()
    return payload


def run(payloads: list[Any], workers: int, limit: float | None = 30.0) -> list[Report[Any]]:
    reports = run_all(task, [Job(p, limit) for p in payloads], workers=workers, grace=0.0)
    return sorted(reports, key=lambda report: report.index)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_job_takes_no_other_with_it(workers: int) -> None:
    reports = run(["die", 1, "raise", 2, "exhaust", 3, "interrupt"], workers)
    assert [r.index for r in reports] == list(range(7))
    assert [r.ending for r in reports] == [Ending.DIED, Ending.RETURNED, Ending.RAISED, Ending.RETURNED, Ending.RAISED,
                                           Ending.RETURNED, Ending.RETURNED]
    assert [r.value for r in reports] == [None, 1, None, 2, None, 3, "went on"]
    assert reports[0].message == "its worker died (exit code 3)"
    assert reports[2].message == "ValueError: no good"
    assert "in task" in reports[2].details
    assert reports[4].message == "out of memory"


def test_a_job_that_overruns_is_stopped() -> None:
    started = time.monotonic()
    hung, after = run(["hang", "after"], workers=1, limit=0.3)
    assert time.monotonic() - started < 10
    assert (hung.ending, hung.value, after.value) == (Ending.OVERRAN, None, "after")
    assert hung.seconds >= 0.3


def test_idle_workers_take_units_and_the_results_are_the_same() -> None:
    (alone,) = run([("share", 30, False)], workers=1)
    (shared,) = run([("share", 30, False)], workers=3)
    results, owner = shared.value
    assert [v for v, _ in results] == [v for v, _ in alone.value[0]] == [i * i for i in range(30)]
    assert {pid for _, pid in alone.value[0]} == {alone.value[1]}
    assert {pid for _, pid in results} > {owner}
    assert shared.cpu_seconds >= 0.9 * 30 * 0.02  # the units run elsewhere are paid for


def test_a_unit_that_kills_its_helper_is_run_by_the_owner() -> None:
    (report,) = run([("share", 10, True)], workers=2)
    results, owner = report.value
    assert results == [(i * i, owner) for i in range(10)]


def test_a_unit_raises_when_its_turn_comes() -> None:
    (report,) = run(["seven"], workers=2)
    assert (report.ending, report.message) == (Ending.RAISED, "ValueError: seven")


def test_maps_may_be_left_early_and_interleaved() -> None:
    early, interleaved = run(["early", "interleaved"], workers=3)
    assert early.value == ([0, 1, 4], [0, 1, 4, 9, 16])
    assert interleaved.value == [(i * i, i * i) for i in range(6)]


def test_what_a_job_prints_does_not_reach_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    (report,) = run(["print"], workers=1)
    captured = capfd.readouterr()
    assert (report.value, captured.out, captured.err) == ("printed", "", "noise\n")


def test_closing_the_iterator_stops_the_workers() -> None:
    started = time.monotonic()
    reports = run_all(task, [Job("first"), Job("hang"), Job("hang")], workers=2)
    assert next(reports).value == "first"
    reports.close()
    assert time.monotonic() - started < 10


def fail_to_start() -> None:
    os._exit(9)


def test_a_worker_that_cannot_start_is_an_error_and_not_a_loop() -> None:
    with pytest.raises(RuntimeError, match="could not start"):
        list(run_all(task, [Job(1)], workers=1, prepare=fail_to_start))


def tell_and_hang(payload: str, _executor: SharingExecutor) -> None:
    with open(payload, "w") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(60)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Any) -> None:
    place = tmp_path / "pid"
    script = ("import sys; from verifier.workers import Job, run_all; from tests.test_workers import tell_and_hang\n"
              "if __name__ == '__main__': list(run_all(tell_and_hang, [Job(sys.argv[1])], workers=1))")
    with subprocess.Popen([sys.executable, "-c", script, str(place)]) as parent:
        wait_for(lambda: place.exists() and place.read_text().endswith("\n"))
        worker = int(place.read_text())
        assert is_running(worker)
        parent.kill()
    wait_for(lambda: not is_running(worker))


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_processes_of_a_pool_end_with_their_parent() -> None:
    script = ("import os, time; from concurrent.futures import ProcessPoolExecutor\n"
              "from multiprocessing import get_context\n"
              "from verifier.sharing import follow_parent\n"
              "if __name__ == '__main__':\n"
              "    pool = ProcessPoolExecutor(1, get_context('spawn'), follow_parent)\n"
              "    print(pool.submit(os.getpid).result(), flush=True)\n"
              "    time.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.kill()
    wait_for(lambda: not is_running(worker))
