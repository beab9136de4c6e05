"""A child process for calls that may hang, crash, or not care for interrupts.

A MILP solver runs for minutes inside one call of foreign code.  In a process of its own it can be stopped at any
moment, by a deadline or by Ctrl-C, and when it breaks only that process is lost: the next call gets a new one.  The
child leads a session, so that the terminal's interrupt does not reach it, and that stopping it stops the programs that
it has started; it ends when its parent does, because then their pipe ends.

Why not ``multiprocessing``: a spawned process of its runs the main script of whoever uses this library once more.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar("T")


class ChildFailed(RuntimeError):
    """The child died, overran its time, or its call raised: this says nothing about the question."""


class OutOfTime(ChildFailed):
    """The deadline of :func:`time_limit` passed during the call."""


class Child:
    """A process that serves one call after the other; a context manager.  Not for several threads at once."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def call(self, function: Callable[..., T], *arguments: Any, seconds: float | None = None) -> T:
        """``function(*arguments)``, computed in the child; function and arguments are picklable.

        Raises ChildFailed when there is no result after ``seconds`` of wall time, when the child dies, or when the
        function raises.
        """
        try:
            pipe = self._started()
            pipe.send((function, arguments))
            if not pipe.poll(seconds):
                raise ChildFailed("it was stopped at its time limit")
            returned, value = pipe.recv()
        except BaseException as error:
            self.close()
            if isinstance(error, EOFError | OSError):
                raise ChildFailed("its process died") from None
            raise
        if not returned:
            raise ChildFailed(str(value))
        result: T = value
        return result

    def close(self) -> None:
        """Stop the child and whatever it has started."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self) -> Connection:
        if self._pipe is None or self._process is None or self._process.poll() is not None:
            self.close()
            ours, theirs = socket.socketpair()
            code = f"from {__name__} import serve; serve({theirs.fileno()})"
            paths = os.pathsep.join(path for path in sys.path if path)
            # whatever a solver prints must not become part of the parent's answer
            self._process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=2,
                                             pass_fds=(theirs.fileno(),), start_new_session=True,
                                             env={**os.environ, "PYTHONPATH": paths})
            theirs.close()
            self._pipe = Connection(ours.detach())
        return self._pipe


_DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)
_LOCK = threading.Lock()
_HELPERS: dict[int, Child] = {}  # by process: a fork must not talk to its parent's


@contextlib.contextmanager
def time_limit(deadline: float | None) -> Iterator[None]:
    """Within it :func:`interruptible` calls end when ``time.time()`` reaches the deadline."""
    token = _DEADLINE.set(deadline)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def interruptible(function: Callable[..., T], *arguments: Any) -> T:
    """``function(*arguments)`` of picklable things in a child process that waits for the next call afterwards.

    It stops when it is interrupted, and at the deadline of :func:`time_limit`, then with OutOfTime.  Raises ChildFailed
    as :meth:`Child.call`.
    """
    deadline = _DEADLINE.get()
    left = None if deadline is None else deadline - time.time()
    if left is not None and left <= 0:
        raise OutOfTime("it was not begun, the time is up")
    with _LOCK:
        try:
            return _HELPERS.setdefault(os.getpid(), Child()).call(function, *arguments, seconds=left)
        except ChildFailed as error:
            if deadline is not None and time.time() >= deadline:
                raise OutOfTime(str(error)) from None
            raise


def serve(descriptor: int) -> None:
    """The life of the child: serve calls from the pipe until it ends."""
    pipe = Connection(descriptor)
    calls: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def receive() -> None:
        try:
            while True:
                calls.put(pipe.recv())
        except BaseException:
            os.killpg(0, signal.SIGKILL)  # the parent is gone, whatever runs here runs for nobody

    threading.Thread(target=receive, daemon=True).start()
    while True:
        function, arguments = calls.get()
        try:
            answer = True, function(*arguments)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}"
        pipe.send(answer)
