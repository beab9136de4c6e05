"""Long-lived worker processes that survive what they run.

``run_all`` hands jobs to worker processes and reports how each one ended.  A worker that dies or overruns its time is
killed and replaced; only its own job is lost.  When no job is queued, idle workers take units of a job that still runs
(``sharing.py`` is the worker's side of this).

Why this way.

* *Spawned, not forked*: a fork copies locks held by the threads of numpy, numba and the progress bar, and it keeps the
  pipe ends of its siblings open, so that the end of a process would not be seen.  A spawned worker holds its own pipe
  only: either side sees the other die as the end of that pipe, also after ``kill -9``.
* *One pipe a worker, all through the parent*: the parent knows who is idle, so nobody has to ask, and a worker that
  dies in the middle of a message spoils no other conversation.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from verifier.sharing import (
    Done,
    Ending,
    Help,
    Helped,
    Helpers,
    Offer,
    Ready,
    Returned,
    Run,
    Task,
    Unprepared,
    Withdraw,
    work,
)

S = TypeVar("S")
R = TypeVar("R")


@dataclass(frozen=True)
class Job(Generic[S]):
    """The argument of one call of the task, and the wall seconds after which its worker is killed (None: never)."""

    payload: S
    limit: float | None = None


@dataclass(frozen=True)
class Report(Generic[R]):
    """What became of job number ``index``.

    ``value`` is there when it returned; else ``message`` is one sentence and ``details`` may hold a traceback.
    ``cpu_seconds`` includes the units that others ran for it, as far as they were back when it ended; for a lost worker
    it is all the time of that worker that no earlier job accounts for.  ``peak_mib`` is the peak resident memory of the
    worker so far (0: unknown).
    """

    index: int
    ending: Ending
    value: R | None
    message: str
    details: str
    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(eq=False)
class _Worker:
    """The parent's view of one worker; ``job`` is what it owns, ``lent`` the owner and ticket of a unit it runs."""

    process: BaseProcess
    pipe: Connection
    ready: bool = False
    job: int | None = None
    lent: tuple[_Worker, int] | None = None
    started: float = 0.0
    deadline: float | None = None
    told: int = 0
    borrowed_seconds: float = 0.0
    accounted_seconds: float = 0.0
    offers: dict[int, bytes] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        return self.ready and self.job is None and self.lent is None

    def send(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # its end is seen where the pipe is read
            self.pipe.send(message)


def run_all(task: Task[S, R], jobs: Sequence[Job[S]], *, workers: int, grace: float = 10.0,
            prepare: Callable[[], None] | None = None) -> Iterator[Report[R]]:
    """Run ``task(job.payload, executor)`` for every job and yield one report each, in the order in which they end.

    ``task``, ``prepare`` (called once in each worker) and the payloads are picklable.  A job is killed ``grace``
    seconds after its limit.  Closing the iterator stops all workers.  Raises RuntimeError when a worker cannot start.
    """
    pool = _Pool(task, jobs, grace, prepare)
    try:
        for _ in range(workers):
            pool.start_worker()
        while pool.unfinished:
            yield from pool.step()
    finally:
        pool.close()


class _Pool:
    def __init__(self, task: Task[Any, Any], jobs: Sequence[Job[Any]], grace: float,
                 prepare: Callable[[], None] | None) -> None:
        self._task, self._jobs, self._grace, self._prepare = task, jobs, grace, prepare
        self._queue = deque(range(len(jobs)))
        self._workers: list[_Worker] = []
        self._context = get_context("spawn")
        self.unfinished = len(jobs)

    def start_worker(self) -> None:
        resource_tracker.ensure_running()  # it would unblock the signal below
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(theirs, self._task, self._prepare), daemon=True)
        # A worker inherits the mask: the terminal's interrupt then never reaches it, not even while it starts.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def step(self) -> list[Report[Any]]:
        """Hand out what can be handed out, wait for the next event, and return what ended by it."""
        self._hand_out()
        deadlines = [w.deadline for w in self._workers if w.deadline is not None]
        timeout = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        reports = []
        readable = set(connection.wait([w.pipe for w in self._workers], timeout))
        for worker in [w for w in self._workers if w.pipe in readable]:
            try:
                report = self._take(worker, worker.pipe.recv())
            except (EOFError, OSError):
                report = self._replace(worker, Ending.DIED)
            reports.append(report)
        now = time.monotonic()
        for worker in [w for w in self._workers if w.deadline is not None and w.deadline <= now]:
            reports.append(self._replace(worker, Ending.OVERRAN))
        return [report for report in reports if report is not None]

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.idle and self._queue:
                self._assign(worker, self._queue.popleft())
        helpers = 0 if self._queue else sum(w.ready and w.job is None for w in self._workers)
        owners = [w for w in self._workers if w.job is not None]
        for owner in owners:
            if owner.told != helpers:
                owner.told = helpers
                owner.send(Helpers(helpers))
        for worker in [w for w in self._workers if w.idle]:
            owner_with_offer = next((w for w in owners if w.offers), None)
            if owner_with_offer is None:
                break
            ticket = next(iter(owner_with_offer.offers))
            worker.lent, worker.deadline = (owner_with_offer, ticket), owner_with_offer.deadline
            worker.send(Help(owner_with_offer.offers.pop(ticket)))

    def _assign(self, worker: _Worker, index: int) -> None:
        limit = self._jobs[index].limit
        worker.job, worker.started, worker.borrowed_seconds = index, time.monotonic(), 0.0
        worker.deadline = None if limit is None else worker.started + limit + self._grace
        worker.send(Run(self._jobs[index].payload))

    def _take(self, worker: _Worker, message: Any) -> Report[Any] | None:
        match message:
            case Ready():
                worker.ready = True
            case Unprepared(reason):
                raise RuntimeError(f"a worker process could not start: {reason}")
            case Offer(ticket, unit):
                worker.offers[ticket] = unit
            case Withdraw(ticket):
                worker.offers.pop(ticket, None)
            case Helped(value, cpu_seconds):
                assert worker.lent is not None
                owner, ticket = worker.lent
                worker.lent, worker.deadline = None, None
                worker.accounted_seconds += cpu_seconds
                owner.borrowed_seconds += cpu_seconds
                owner.send(Returned(ticket, value))
            case Done():
                worker.accounted_seconds += message.cpu_seconds
                report = self._finish(worker, message)
                if message.exhausted:
                    self._replace(worker, Ending.DIED)
                return report
        return None

    def _finish(self, worker: _Worker, done: Done) -> Report[Any]:
        assert worker.job is not None
        report = Report(worker.job, done.ending, done.value, done.message, done.details,
                        time.monotonic() - worker.started, done.cpu_seconds + worker.borrowed_seconds, done.peak_mib)
        worker.job, worker.deadline = None, None
        worker.offers.clear()
        self.unfinished -= 1
        return report

    def _replace(self, worker: _Worker, ending: Ending) -> Report[Any] | None:
        self._workers.remove(worker)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        worker.process.kill()
        worker.process.join()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        worker.pipe.close()
        code = worker.process.exitcode
        how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        if not worker.ready:
            raise RuntimeError(f"a worker process could not start ({how})")
        if worker.lent is not None:
            owner, ticket = worker.lent
            owner.send(Returned(ticket, None))
        report = None
        if worker.job is not None:
            message = ending.value if ending is Ending.OVERRAN else f"{ending.value} ({how})"
            cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            report = self._finish(worker, Done(ending, None, message, "", max(
                0.0, cpu_seconds - worker.accounted_seconds), 0.0))
        if self.unfinished:
            self.start_worker()
        return report

    def close(self) -> None:
        """Stop every worker at once."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
