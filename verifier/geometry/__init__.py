"""Geometry: exact polyhedra, their unions and volumes; untrusted."""
