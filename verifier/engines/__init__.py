"""Engines: untrusted decision procedures that turn a query into a certificate."""
