"""Exact verification of small ReLU networks, with proofs that a small checker accepts.

The public names load on first use, so that a command line starts without its libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifier.api import Progress, check, verify
    from verifier.certificates import ProvedRanges
    from verifier.counting import (
        Surroundings,
        around,
        certify_regions,
        count_all_regions,
        count_regions,
        region_bound,
        regions,
    )
    from verifier.formats.errors import InputError
    from verifier.formats.onnx import LoadedNetwork, read_network
    from verifier.formats.vnnlib import Property, parse_property, read_property
    from verifier.geometry.ball import Ball
    from verifier.geometry.polytope import Polyhedron
    from verifier.geometry.union import UnionOfPolyhedra
    from verifier.kernel.certificate import InvalidCertificate
    from verifier.kernel.network import Layer, Network
    from verifier.kernel.polyhedron import Box, HalfSpace
    from verifier.kernel.query import Query
    from verifier.kernel.rational import Matrix
    from verifier.plot import draw_partition, draw_set
    from verifier.preimages import InputSet, counterexamples, preimage
    from verifier.properties.cells import Counted, ProvedCells
    from verifier.properties.output_range import Extremum, Kind, Range
    from verifier.properties.regions import RegionCount, RegionCounts, RegionKind
    from verifier.properties.safety import Outcome, Statistics, Verdict, Witness
    from verifier.radius import Norm, Radius, robustness_radius
    from verifier.radius_certificates import ProvedRadius
    from verifier.sets import Reach, output_range, reach
    from verifier.time_limits import Interrupted

__version__ = "0.1.0"

__all__ = [
    "Ball", "Box", "Counted", "Extremum", "HalfSpace", "InputError", "InputSet", "Interrupted", "InvalidCertificate",
    "Kind", "Layer", "LoadedNetwork", "Matrix", "Network", "Norm", "Outcome", "Polyhedron", "Progress", "Property",
    "ProvedCells", "ProvedRadius", "ProvedRanges", "Query", "Radius", "Range", "Reach", "RegionCount", "RegionCounts",
    "RegionKind", "Statistics", "Surroundings", "UnionOfPolyhedra", "Verdict", "Witness", "around", "certify_regions",
    "check", "count_all_regions", "count_regions", "counterexamples", "draw_partition", "draw_set", "output_range",
    "parse_property", "preimage", "reach", "read_network", "read_property", "region_bound", "regions",
    "robustness_radius", "verify",
]

_HOMES = {
    "verifier.api": ("Progress", "check", "verify"),
    "verifier.certificates": ("ProvedRanges",),
    "verifier.counting": ("Surroundings", "around", "certify_regions", "count_all_regions", "count_regions",
                          "region_bound", "regions"),
    "verifier.formats.errors": ("InputError",),
    "verifier.formats.onnx": ("LoadedNetwork", "read_network"),
    "verifier.formats.vnnlib": ("Property", "parse_property", "read_property"),
    "verifier.geometry.ball": ("Ball",),
    "verifier.geometry.polytope": ("Polyhedron",),
    "verifier.geometry.union": ("UnionOfPolyhedra",),
    "verifier.kernel.certificate": ("InvalidCertificate",),
    "verifier.kernel.network": ("Layer", "Network"),
    "verifier.kernel.polyhedron": ("Box", "HalfSpace"),
    "verifier.kernel.query": ("Query",),
    "verifier.kernel.rational": ("Matrix",),
    "verifier.plot": ("draw_partition", "draw_set"),
    "verifier.preimages": ("InputSet", "counterexamples", "preimage"),
    "verifier.properties.cells": ("Counted", "ProvedCells"),
    "verifier.properties.output_range": ("Extremum", "Kind", "Range"),
    "verifier.properties.regions": ("RegionCount", "RegionCounts", "RegionKind"),
    "verifier.properties.safety": ("Outcome", "Statistics", "Verdict", "Witness"),
    "verifier.radius": ("Norm", "Radius", "robustness_radius"),
    "verifier.radius_certificates": ("ProvedRadius",),
    "verifier.sets": ("Reach", "output_range", "reach"),
    "verifier.time_limits": ("Interrupted",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
