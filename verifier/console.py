"""What the commands have in common: how they speak, their options, and the exit codes.

Imports are inside the functions where they cost much, as in :mod:`verifier.cli`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from verifier.ending import (
    CONTRADICTED,
    FAILED,
    HOLDS,
    INTERRUPTED,
    REJECTED,
    UNKNOWN,
    VIOLATED,
    WRONG_USE,
    complain,
    say,
    say_json,
)
from verifier.formats.errors import InputError
from verifier.time_limits import Interrupted

if TYPE_CHECKING:
    from verifier.engines.executor import MapExecutor

__all__ = [
    "CONTRADICTED", "FAILED", "FILE", "HOLDS", "INTERRUPTED", "REJECTED", "UNKNOWN", "VIOLATED", "WRONG_USE", "all_of",
    "axes_option", "color_option", "common_options", "complain", "exact_option", "fix_option", "fixed_inputs",
    "jobs_option", "kept", "log", "processes", "say", "say_json", "seconds", "seed_option", "strict_option",
    "time_left", "timeout_option", "two_axes", "written",
]

OUT_OF_TIME = "the time limit was reached"

log = logging.getLogger("verifier")
T = TypeVar("T")


def kept(call: Callable[[], T]) -> tuple[T, bool]:
    """What a call returns, or what it knew when it was interrupted; and whether it was, which is told."""
    try:
        return call(), False
    except Interrupted as stop:
        complain("interrupted")
        return cast(T, stop.result), True


def _verbose(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
        log.setLevel(logging.DEBUG)
    elif sys.stderr.isatty():
        _tell_of_waiting()


def _tell_of_waiting() -> None:
    """Who sits in front of a terminal is told why the first large walk over cells takes so long to begin."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("verifier: %(message)s"))
    compiling = logging.getLogger("verifier.geometry.just_in_time")
    compiling.handlers = [handler]
    compiling.setLevel(logging.INFO)


def seconds(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Check an option's number of seconds."""
    if value is not None and not 0 < value < math.inf:
        raise click.BadParameter("a positive number of seconds was required")
    return value


FILE = click.Path(path_type=Path)
Command = Callable[..., Any]


def all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator."""
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command
    return decorate


common_options = all_of(
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object; rationals are strings p/q."),
    click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_verbose,
                 help="Tell on standard error what is done."))
exact_option = click.option("--exact", is_flag=True, help="Check the proof in exact integers.")
timeout_option = click.option("--timeout", type=float, callback=seconds, metavar="SECONDS", help="Limit of wall time.")
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                           help="Seed of the search.")
solver_option = click.option("--solver", type=click.Choice(["highs", "cbc", "scip", "gurobi"]), default="highs",
                             show_default=True, help="Mixed-integer solver of engine milp, where installed.")
jobs_option = click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True,
                           help="Worker processes.")
fix_option = click.option("--fix", metavar="I=V[,I=V...]", default="", help="Values of other inputs in the picture.")
axes_option = click.option("--axes", metavar="I,J", default="0,1", show_default=True,
                           help="Which two coordinates are drawn.")
strict_option = click.option("--strict-bounds", is_flag=True,
                             help="Refuse properties that leave an input without a bound.")


def time_left(timeout: float | None, started: float) -> float | None:
    """What is left of a limit of wall time, when the clock showed ``started`` (``time.monotonic``) at the start."""
    return None if timeout is None else max(0.0, timeout - (time.monotonic() - started))


def written(asked: Mapping[str, Path | None], missing: Mapping[str, str], as_json: bool) -> dict[str, Any]:
    """The files that were asked for, by their names, as facts; those that are ``missing``, and why, are told apart and
    complained of.  A file that was there before is left as it was."""
    found = {name: path for name, path in asked.items() if path is not None}
    reasons = {name: why for name, why in missing.items() if name in found}
    for name, why in reasons.items():
        complain(f"{found[name]}: not written, {why}")
    facts: dict[str, Any] = {name: str(path) for name, path in found.items() if name not in reasons}
    if reasons and as_json:
        facts["not_written"] = reasons
    elif reasons:
        facts["not written"] = ", ".join(f"{name} ({why})" for name, why in reasons.items())
    return facts


@contextlib.contextmanager
def processes(jobs: int) -> Iterator[MapExecutor | None]:
    """Processes for the subtrees of one question; nothing when one is enough."""
    if jobs == 1:
        yield None
        return
    from verifier.processes import Processes  # noqa: PLC0415

    with Processes(jobs) as executor:
        yield executor


def color_option(*choices: str) -> Callable[[Command], Command]:
    """``--color``: what cells of one colour have in common; the first choice without it."""
    return click.option("--color", type=click.Choice(choices), default=choices[0], show_default=True,
                        help="What cells of one colour have in common.")


def fixed_inputs(text: str) -> dict[int, Fraction]:
    """The values of ``--fix``.  Raises InputError."""
    from verifier.formats.numbers import parse_number  # noqa: PLC0415

    fixed: dict[int, Fraction] = {}
    for pair in filter(None, text.split(",")):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip().isdecimal():
            raise InputError(f"--fix: a pair I=V was required, received {pair!r}")
        try:
            fixed[int(name)] = parse_number(value)
        except InputError as error:
            raise InputError(f"--fix: {error}") from None
    return fixed


def two_axes(text: str) -> tuple[int, int]:
    """The two coordinates of a picture.  Raises InputError."""
    numbers = text.split(",")
    if len(numbers) != 2 or not all(part.strip().isascii() and part.strip().isdigit() and len(part) < 10
                                    for part in numbers):
        raise InputError(f"--axes: two numbers I,J were required, received {text!r}")
    return int(numbers[0]), int(numbers[1])
