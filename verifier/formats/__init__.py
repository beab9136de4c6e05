"""Readers of network and property files: trusted to read what is written."""
