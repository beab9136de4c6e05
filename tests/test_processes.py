"""Units survive the death of the process that runs them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from verifier.processes import Processes


def square(unit: tuple[int, str]) -> int:
    number, marker = unit
    if marker and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die(_unit: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(unit: int) -> int:
    if unit == 2:
        raise ValueError("two")
    return unit


def test_a_unit_lost_with_its_process_is_run_again(tmp_path: Path) -> None:
    with Processes(2) as processes:
        units = [(n, str(tmp_path / str(n)) if n in (0, 4) else "") for n in range(6)]
        assert list(processes.map(square, units)) == [0, 1, 4, 9, 16, 25]
        assert list(processes.map(square, [(7, "")])) == [49]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "4"]


def test_a_unit_that_always_kills_its_process_is_given_up() -> None:
    with Processes(1) as processes, pytest.raises(RuntimeError, match="died 3 times in a row on the same part"):
        list(processes.map(die, [1]))


def test_what_a_unit_raises_is_raised() -> None:
    with Processes(1) as processes:
        results = processes.map(fail, [1, 2])
        assert next(results) == 1
        with pytest.raises(ValueError, match="two"):
            next(results)
