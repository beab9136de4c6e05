"""How a run speaks and ends: exit codes, standard output and standard error, and failures in one sentence.

Nothing but the standard library is imported here: this must work where everything else is broken.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence

HOLDS, VIOLATED, WRONG_USE, UNKNOWN, REJECTED, CONTRADICTED, FAILED, INTERRUPTED = 0, 10, 2, 3, 4, 5, 70, 130

_NAMES = {WRONG_USE: "wrong use or bad input", REJECTED: "certificate rejected", FAILED: "internal error",
          INTERRUPTED: "interrupted"}


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


def explain(error: BaseException) -> str:
    """A failure of ours in one sentence; a library that cannot be loaded is named."""
    if isinstance(error, ImportError):
        library = (error.name or "").partition(".")[0]
        what = f"the library {library}" if library not in ("", "verifier") else "a part of this program"
        return f"{what} cannot be loaded, the installation is incomplete or broken ({error})"
    return f"{type(error).__name__}: {error}"


def without_answer(code: int, sentence: str, arguments: Sequence[str]) -> int:
    """End a run that has no answer: where ``--json`` is asked for, say so as one JSON object.  Returns ``code``."""
    if "--json" in arguments:
        with contextlib.suppress(OSError):
            say_json({"error": _NAMES[code], "message": " ".join(sentence.split()), "exit_code": code})
    return code
