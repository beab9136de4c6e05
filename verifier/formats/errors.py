"""The one exception for bad input."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input from the user's side: one clear sentence that names the file and the place.

    The command line prints it and exits with code 2; it never looks like a verdict.
    """
