"""Inside a worker process: run a job, or a unit of somebody else's job, and say what became of it.

A job that can be cut into *units* (subtrees of a search) runs them through :class:`SharingExecutor`: the owner of the
job works from the front, idle workers take what is next.  Units are pure, so who runs one, or whether it runs twice,
changes no result: a unit that is lost, for whatever reason, is run again by its owner; if it raises, the
owner raises.

The two ends of the pipe exchange the messages below.  A receiving thread empties the pipe at once.  Therefore no send
of the parent waits for a computation, and two full pipes cannot wait for each other.
"""

from __future__ import annotations

import enum
import os
import pickle
import queue
import resource
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from verifier.ending import explain

S = TypeVar("S")
R = TypeVar("R")

Task = Callable[[S, "SharingExecutor"], R]


class Ending(enum.Enum):
    """How a job ended."""

    RETURNED = "returned a value"
    RAISED = "raised an exception"
    DIED = "its worker died"
    OVERRAN = "overran its time and was stopped"


# Messages to a worker.

@dataclass(frozen=True)
class Run:
    """To a worker: run this job."""

    payload: Any


@dataclass(frozen=True)
class Help:
    """To a worker: run this pickled unit of another worker's job."""

    unit: bytes


@dataclass(frozen=True)
class Helpers:
    """To the owner of a job: so many workers have no job of their own."""

    count: int


@dataclass(frozen=True)
class Returned:
    """To the owner: the pickled result of a unit it offered; None: it is lost, run it yourself."""

    ticket: int
    value: bytes | None


# Messages from a worker.

@dataclass(frozen=True)
class Ready:
    """From a worker: it has started."""


@dataclass(frozen=True)
class Unprepared:
    """From a worker: it could not start, for this reason."""

    reason: str


@dataclass(frozen=True)
class Offer:
    """From the owner: whoever is idle may run this pickled unit."""

    ticket: int
    unit: bytes


@dataclass(frozen=True)
class Withdraw:
    """From the owner: the unit is no longer wanted."""

    ticket: int


@dataclass(frozen=True)
class Helped:
    """From a helper: the pickled result of the unit it was given (None: it failed)."""

    value: bytes | None
    cpu_seconds: float


@dataclass(frozen=True)
class Done:
    """From the owner: how its job ended; an exhausted worker is to be replaced, memory and caches with it."""

    ending: Ending
    value: Any
    message: str
    details: str
    cpu_seconds: float
    peak_mib: float
    exhausted: bool = False


class SharingExecutor:
    """``map`` for units of at most half a second: run here from the front, and by idle workers where there are any."""

    def __init__(self, send: Callable[[Any], None], inbox: queue.SimpleQueue[Any]) -> None:
        self._send = send
        self._inbox = inbox
        self._helpers = 0
        self._next_ticket = 0
        self._live: set[int] = set()
        self._arrived: dict[int, bytes | None] = {}

    def map(self, function: Callable[[S], R], iterable: Iterable[S], /) -> Iterator[R]:
        """Results of ``function`` in the order of ``iterable``; ``function`` and the units are picklable and pure.

        Raises what ``function`` raises, when its turn comes.
        """
        units = list(iterable)
        waiting = deque(range(len(units)))
        away: dict[int, int] = {}  # ticket -> position, oldest first
        results: dict[int, R] = {}
        try:
            for position in range(len(units)):
                while position not in results:
                    self._receive(block=False)
                    for ticket in [t for t in away if t in self._arrived]:
                        value = self._arrived.pop(ticket)
                        self._live.remove(ticket)
                        lost = away.pop(ticket)
                        if value is None:
                            waiting.appendleft(lost)
                        else:
                            results[lost] = pickle.loads(value)
                    # Two for each helper: one at work, one queued for when it is done before this process looks again.
                    while len(waiting) > 1 and len(away) < 2 * self._helpers:
                        ticket, self._next_ticket = self._next_ticket, self._next_ticket + 1
                        self._live.add(ticket)
                        away[ticket] = second = waiting[1]
                        del waiting[1]
                        self._send(Offer(ticket, pickle.dumps((function, units[second]))))
                    if position in results:
                        break
                    if not waiting and len(away) > self._helpers:
                        ticket, queued = away.popitem()  # the youngest has not been started: take it back
                        self._forget(ticket)
                        waiting.append(queued)
                    if waiting:
                        mine = waiting.popleft()
                        results[mine] = function(units[mine])
                    else:
                        self._receive(block=True)
                yield results.pop(position)
        finally:
            for ticket in away:
                self._forget(ticket)

    def _forget(self, ticket: int) -> None:
        self._live.remove(ticket)
        self._arrived.pop(ticket, None)
        self._send(Withdraw(ticket))

    def _receive(self, block: bool) -> None:
        while True:
            try:
                message = self._inbox.get(block=block)
            except queue.Empty:
                return
            self.note(message)
            block = False

    def note(self, message: Helpers | Returned) -> None:
        """Take notice of a message that is not a job; late news about units of an earlier job is dropped."""
        if isinstance(message, Helpers):
            self._helpers = message.count
        elif message.ticket in self._live:
            self._arrived[message.ticket] = message.value


def follow_parent() -> None:
    """Make this process leave the terminal's interrupt to its parent, and end when its parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def work(pipe: Connection, task: Task[Any, Any], prepare: Callable[[], None] | None) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    os.dup2(2, 1)  # whatever a library prints must not become part of the parent's answer
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def receive() -> None:
        while True:
            try:
                inbox.put(pipe.recv())
            except BaseException:
                os._exit(1)  # the parent is gone, or will find a worker gone that cannot be talked to

    if prepare is not None:
        try:
            prepare()
        except BaseException as error:
            pipe.send(Unprepared(explain(error)))
            return
    threading.Thread(target=receive, daemon=True).start()
    executor = SharingExecutor(pipe.send, inbox)
    pipe.send(Ready())
    while True:
        message = inbox.get()
        if isinstance(message, Help):
            pipe.send(_help(message.unit))
        elif isinstance(message, Run):
            pipe.send(_run(task, message.payload, executor))
        else:
            executor.note(message)


def _help(unit: bytes) -> Helped:
    started = time.process_time()
    value: bytes | None
    try:
        function, argument = pickle.loads(unit)
        value = pickle.dumps(function(argument))
    except Exception:
        value = None  # the owner runs it again and meets the exception where it belongs
    return Helped(value, time.process_time() - started)


def _run(task: Task[Any, Any], payload: Any, executor: SharingExecutor) -> Done:
    started = time.process_time()
    ending, value, message, details, exhausted = Ending.RAISED, None, "", "", False
    try:
        value = task(payload, executor)
        pickle.dumps(value)
        ending = Ending.RETURNED
    except MemoryError:
        message, exhausted = "out of memory", True
    except BaseException as error:
        message, details = explain(error), traceback.format_exc()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Done(ending, value if ending is Ending.RETURNED else None, message, details,
                time.process_time() - started, peak, exhausted)
