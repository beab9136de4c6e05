"""What the commands have in common: how they speak, their options, and the exit codes.

Imports are inside the functions where they cost much, as in :mod:`verifier.cli`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

HOLDS, VIOLATED, WRONG_USE, UNKNOWN, REJECTED, CONTRADICTED, FAILED, INTERRUPTED = 0, 10, 2, 3, 4, 5, 70, 130

log = logging.getLogger("verifier")


def complain(sentence: str) -> None:
    """One line on standard error."""
    with contextlib.suppress(OSError):
        print(f"verifier: {' '.join(sentence.split())}", file=sys.stderr)  # noqa: T201


def say(text: str) -> None:
    """Write to standard output.  A reader that has gone away is no failure: the exit code still tells the answer."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer must not be written again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def say_json(value: object) -> None:
    """Write JSON to standard output."""
    say(json.dumps(value, indent=2) + "\n")


def _verbose(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
        log.setLevel(logging.DEBUG)


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
strict_option = click.option("--strict-bounds", is_flag=True,
                             help="Refuse properties that leave an input without a bound.")


def time_left(timeout: float | None, started: float) -> float | None:
    """What is left of a limit of wall time, when the clock showed ``started`` (``time.monotonic``) at the start."""
    return None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
