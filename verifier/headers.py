"""What the headers of certificates have in common, written and read: subjects, numbers, boxes, short messages.

``kernel/CERTIFICATE.md``, sections 3 and 9, specifies it.  What is malformed raises InvalidCertificate.
"""

from __future__ import annotations

import reprlib
from fractions import Fraction
from typing import Any

from verifier import __version__
from verifier.formats.onnx import LoadedNetwork, plain_network
from verifier.formats.vnnlib import Property
from verifier.kernel.certificate import InvalidCertificate, parse_rational
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Point, to_text

_OTHER = {"network": "another network", "queries": "another question", "files": "other files"}
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 200


def header_of(verdict: str, network: LoadedNetwork | Network, given: object, options: dict[str, Any]) -> dict[str, Any]:
    """What every header has."""
    return {"verdict": verdict, "network": plain_network(network).digest, "files": files_of(network, given),
            "options": options, "tool": f"relu-verifier {__version__}"}


def files_of(network: LoadedNetwork | Network, given: object) -> dict[str, Any]:
    """The digests of the files that a question was read from."""
    files: dict[str, Any] = {}
    if isinstance(network, LoadedNetwork):
        files["network"] = sorted({digest for _, digest in network.files} | {network.sha256})
    if isinstance(given, Property):
        files["property"] = given.sha256
    return files


def require_same(header: dict[str, Any], subject: dict[str, Any]) -> None:
    """Raises InvalidCertificate when the header speaks of another subject."""
    for key, value in subject.items():
        if header.get(key) != value:
            raise InvalidCertificate(f"the certificate was made for {_OTHER[key]}: {short(value)} was required, "
                                     f"received {short(header.get(key))}")


def short(value: object) -> str:
    """A value of a header for a message: a header may be long and deep."""
    return cut(_REPR.repr(value))


def cut(text: str) -> str:
    """A text for a message."""
    return text if len(text) <= 200 else f"{text[:197]}..."


def list_in(data: dict[str, Any], key: str) -> list[Any]:
    """The list under a key."""
    found = data.get(key)
    if not isinstance(found, list):
        raise InvalidCertificate(f"the header needs a list {key!r}")
    return found


def object_in(data: object) -> dict[str, Any]:
    """An object."""
    if not isinstance(data, dict):
        raise InvalidCertificate("the header has something else where an object was required")
    return data


def rational_in(text: object) -> Fraction:
    """A rational, as its text."""
    try:
        return parse_rational(text if isinstance(text, str) else "")
    except ValueError as error:
        raise InvalidCertificate("the header has something else where a rational was required") from error


def rationals_in(values: object) -> Point:
    """A list of rationals."""
    if not isinstance(values, list):
        raise InvalidCertificate("the header has something else where a list of rationals was required")
    return tuple(map(rational_in, values))


def box_json(box: Box) -> list[list[str | None]]:
    """The bounds of every input, null where there is none."""
    return [[None if v is None else to_text(v) for v in pair] for pair in zip(box.lower, box.upper, strict=True)]


def box_in(data: dict[str, Any]) -> Box:
    """The box under the key ``box``.  Raises ValueError, too."""
    pairs = list_in(data, "box")
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ValueError("a box has pairs of bounds")
    lower, upper = (tuple(None if pair[i] is None else rational_in(pair[i]) for pair in pairs) for i in range(2))
    return Box(lower, upper)
