"""The reader of property files (VNN-LIB 1.0).

Theory.  A property file states its *counterexample*: it asks for an input ``X`` and the network's output ``Y`` that
make all assertions true.  The assertions are brought to disjunctive normal form; in each disjunct the constraints that
speak of one input alone bound a closed box, and all others (several inputs, outputs, or both) are half-spaces over the
concatenated vector ``(X, Y)``.  A strict bound of one input closes the box and adds a strict half-space.  Disjuncts
with equal boxes form one :class:`Case`, so that a search walks each box once.

Rows are scaled to primitive integers; parallel rows of one disjunct are merged into the tightest.  Both leave the set
unchanged.  A disjunct in which parallel constraints contradict each other (always so for bounds of one variable) is
empty and is dropped; contradictions among rows that are not parallel are left to the decision procedures.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import BinaryIO, cast

from verifier.formats.constraints import (
    INPUT,
    OUTPUT,
    Conjunction,
    ConstraintError,
    Direction,
    Intervals,
    conjoin,
)
from verifier.formats.errors import InputError
from verifier.formats.vnnlib_syntax import Reader
from verifier.formats.witness import counted
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Disjunct, Query
from verifier.kernel.rational import Point

MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Case:
    """One closed box of inputs (a bound of None: unbounded) and the disjunction of conjunctions asked on it.

    The normals of the half-spaces have one entry for each input, then one for each output.
    """

    box: Box
    disjuncts: tuple[Disjunct, ...]


@dataclass(frozen=True)
class Property:
    """A property file: a counterexample is a point of some case's box that satisfies one of that case's disjuncts.

    ``sha256`` speaks of the uncompressed bytes; ``unbounded`` names the inputs that lack a bound in some case;
    ``contradictory`` says that no case is left because the constraints contradict each other: the property holds
    vacuously.
    """

    path: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    cases: tuple[Case, ...]
    sha256: str
    unbounded: tuple[str, ...]
    contradictory: bool

    def queries(self, network: Network) -> tuple[Query, ...]:
        """One kernel query for each case.  Raises InputError when the network's inputs or outputs are not as many."""
        for what, names, count in (("input", self.input_names, network.inputs),
                                   ("output", self.output_names, network.outputs)):
            if len(names) != count:
                raise InputError(f"{self.path}: the property declares {counted(len(names), what)}, the network has "
                                 f"{count}")
        return tuple(Query(network, case.box, case.disjuncts) for case in self.cases)


def read_property(path: str | PathLike[str]) -> Property:
    """Read a ``.vnnlib`` or ``.vnnlib.gz`` file.  Raises InputError, with the place, for whatever is wrong with it."""
    name = str(path)
    data = _read_bytes(Path(path), name)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[:error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise InputError(f"{name}:{line}:{column}: UTF-8 text was required, "
                         f"received the byte 0x{data[error.start]:02x}") from None
    return _parse(text, name, hashlib.sha256(data).hexdigest())


def parse_property(text: str, path: str = "<text>") -> Property:
    """Read a property from a string; ``path`` stands for the file's name in messages.  Raises InputError."""
    return _parse(text, path, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def _parse(text: str, path: str, sha256: str) -> Property:
    reader = Reader(text.removeprefix("\ufeff"), path)
    reader.read()
    inputs, outputs = (_count(reader, kind, letter) for kind, letter in ((INPUT, "X"), (OUTPUT, "Y")))
    try:
        conjunctions = conjoin(reader.assertions)
    except ConstraintError as refusal:
        raise InputError(f"{path}: all assertions together: {refusal}") from None
    cases = _cases(conjunctions, inputs, outputs)
    unbounded = [i for i in range(inputs) if any(None in (c.box.lower[i], c.box.upper[i]) for c in cases)]
    return Property(path, tuple(f"X_{i}" for i in range(inputs)), tuple(f"Y_{j}" for j in range(outputs)), cases,
                    sha256, tuple(f"X_{i}" for i in unbounded), contradictory=not cases)


def _count(reader: Reader, kind: int, letter: str) -> int:
    """The number of declared variables of a kind, which must be numbered from 0 without gaps."""
    places = {index: place for (k, index), place in reader.declared.items() if k == kind}
    if not places:
        raise reader.error(len(reader.text), f"a declaration of at least {letter}_0 was required, received none")
    for expected, index in enumerate(sorted(places)):
        if index != expected:
            raise reader.error(places[index], f"a declaration of {letter}_{expected} was required beside this one of "
                                              f"{letter}_{index}, received none")
    return len(places)


def _cases(conjunctions: list[Conjunction], inputs: int, outputs: int) -> tuple[Case, ...]:
    """Group by box; boxes, and disjuncts within a box, in order of first appearance and without repetition."""
    half_spaces = _HalfSpaces(inputs, outputs)
    groups: dict[object, tuple[Box, dict[object, Disjunct]]] = {}
    # Disjuncts that share a box share the object: boxes with many inputs are built and hashed once.
    known: dict[int, tuple[dict[object, Disjunct], Disjunct]] = {}
    for bounds, rows in conjunctions:
        if id(bounds) not in known:
            box = _box(bounds, inputs)
            _, group = groups.setdefault(_ratios(box), (box, {}))
            known[id(bounds)] = group, tuple(half_spaces.of(bounds, strict_only=True))
        group, strict_bounds = known[id(bounds)]
        disjunct = strict_bounds + tuple(half_spaces.of(rows))
        group.setdefault(frozenset(map(id, disjunct)), disjunct)  # equal half-spaces are one object
    return tuple(Case(box, tuple(group.values())) for box, group in groups.values())


def _ratios(box: Box) -> object:
    """What stands for the box in a dictionary: integers are hashed much faster than fractions."""
    return tuple(None if end is None else end.as_integer_ratio() for side in (box.lower, box.upper) for end in side)


def _box(bounds: Intervals, inputs: int) -> Box:
    lower: list[Fraction | None] = [None] * inputs
    upper: list[Fraction | None] = [None] * inputs
    for (((_, index), _),), interval in bounds.items():
        lower[index] = None if interval.lower is None else interval.lower[0]
        upper[index] = None if interval.upper is None else interval.upper[0]
    return Box(tuple(lower), tuple(upper))


class _HalfSpaces:
    """Turns intervals of directions into half-spaces; equal ones are one object, for files with thousands of rows."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self._inputs = inputs
        self._zeros = [Fraction(0)] * (inputs + outputs)
        self._normals: dict[tuple[Direction, int], Point] = {}
        self._known: dict[tuple[int, int, int, bool], HalfSpace] = {}

    def of(self, intervals: Intervals, strict_only: bool = False) -> Iterator[HalfSpace]:
        """The half-spaces of all ends, or of the strict ones, in order."""
        for direction, interval in intervals.items():
            for sign, end in ((-1, interval.lower), (1, interval.upper)):
                if end is not None and (end[1] or not strict_only):
                    yield self._half_space(direction, sign, *end)

    def _half_space(self, direction: Direction, sign: int, value: Fraction, strict: bool) -> HalfSpace:
        normal = self._normals.get((direction, sign))
        if normal is None:
            entries = self._zeros.copy()
            for (kind, index), coefficient in direction:
                entries[index if kind == INPUT else self._inputs + index] = Fraction(sign * coefficient)
            normal = self._normals[direction, sign] = tuple(entries)
        key = (id(normal), *value.as_integer_ratio(), strict)
        if key not in self._known:
            self._known[key] = HalfSpace(normal, value if sign > 0 else -value, strict)
        return self._known[key]


def _read_bytes(path: Path, name: str) -> bytes:
    """The uncompressed bytes; reading stops at the cap, so a compressed bomb costs no more than that."""
    try:
        with cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")) as file:
            data = file.read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{name}: a complete gzip file was required: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(f"{name}: a readable file was required: {reason or error}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: at most {MAX_BYTES} uncompressed bytes were required, received more")
    return data
