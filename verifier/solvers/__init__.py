"""Solvers: untrusted, one third-party library a file."""
