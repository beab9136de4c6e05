"""Safety: no input of the property's domain leads to a counterexample.

Theorem.  A property file states its counterexample as a finite list of queries.  If every query has a theorem
``NoPoint`` the property *holds*; one theorem ``Point`` means it is *violated*; with neither it is *unknown*.
Without theorems only ``unknown`` can be built.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from verifier.kernel.checker import NoPoint, PointIn, Theorem
from verifier.kernel.query import Query
from verifier.kernel.rational import Point


class Outcome(enum.Enum):
    """What is known of the property; the value is the word that is printed."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Witness:
    """A rational input that violates the property, with the exact outputs, and the query and disjunct it satisfies."""

    x: Point
    y: Point
    query: int
    disjunct: int


@dataclass(frozen=True)
class Statistics:
    """What a decision cost.  Seconds are CPU seconds, process-wide; none of this takes part in a verdict."""

    boxes: int = 0
    exact_leaves: int = 0
    linear_programs: int = 0
    search_seconds: float = 0.0
    check_seconds: float = 0.0
    certificate_bytes: int = 0


@dataclass(frozen=True)
class Verdict:
    """The answer to a safety question.  ``reason`` is one sentence for people; ``arithmetic`` names what the check ran
    on (``rigorous floating point`` or ``exact integers``); ``vacuous`` says that no input satisfies the constraints."""

    outcome: Outcome
    reason: str
    witness: Witness | None = None
    arithmetic: str = ""
    vacuous: bool = False
    statistics: Statistics = field(default_factory=Statistics)


def conclude(queries: Sequence[Query], theorems: Sequence[Theorem], reason: str, vacuous: bool = False,
             statistics: Statistics | None = None) -> Verdict:
    """The verdict that the theorems about these queries allow, by the theorem of this module.

    ``reason`` explains an ``unknown``; ``vacuous`` is only repeated.
    """
    statistics = statistics or Statistics()
    numbers = {query.digest: number for number, query in enumerate(queries)}
    empty = set()
    for theorem in theorems:
        spoken_of = theorem.claim.query if isinstance(theorem.claim, NoPoint | PointIn) else None
        number = None if spoken_of is None else numbers.get(spoken_of.digest)
        if number is None:
            continue
        if isinstance(theorem.claim, PointIn):
            query, x = theorem.claim.query, theorem.claim.x
            disjunct = query.satisfied_disjunct(x)
            if disjunct is None:
                raise AssertionError("the checker confirmed a point that is none")
            witness = Witness(x, query.network.evaluate(x), number, disjunct)
            return Verdict(Outcome.VIOLATED, "an input satisfies the counterexample's constraints exactly", witness,
                           theorem.arithmetic, False, statistics)
        if isinstance(theorem.claim, NoPoint):
            empty.add(theorem.claim.query.digest)
    if empty == set(numbers):
        arithmetic = theorems[0].arithmetic if theorems else ""
        text = ("the constraints contradict each other, so there is nothing to violate" if vacuous else
                "no input of the domain satisfies the counterexample's constraints")
        return Verdict(Outcome.HOLDS, text, None, arithmetic, vacuous, statistics)
    return Verdict(Outcome.UNKNOWN, reason, None, "", False, statistics)
