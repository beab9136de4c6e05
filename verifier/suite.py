"""A benchmark family: every instance decided in a worker process of its own, and every answer kept at once.

``instances.csv`` lists network, property and time limit; paths are relative to it.  An instance is decided by the same
``verify`` as a single question, its check included, inside a worker that may crash, hang or run out of memory without
touching the others.  Certificate and witness files are complete before the row that names them is written, so what
``results.csv`` says survives any interruption.
"""

from __future__ import annotations

import math
import os
import resource
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.files import NewFile
from verifier.formats.errors import InputError
from verifier.results import WORD_OF, ResultsFile, Row, read_csv
from verifier.sharing import Ending, SharingExecutor
from verifier.workers import Job, Report, run_all

if TYPE_CHECKING:
    from verifier.formats.onnx import LoadedNetwork
    from verifier.formats.vnnlib import Property

GRACE_SECONDS = 10.0
"""How long after its limit an instance may go on: a search ends between two of its steps."""

CACHED_NETWORK_BYTES = 64 * 2**20
"""A family is often listed property by property: its networks are kept while their files are together no larger."""


@dataclass(frozen=True)
class Instance:
    """A line of ``instances.csv``: the names as written, and ``name``, unique in its family, for the files it makes."""

    folder: Path
    network: str
    property: str
    timeout: float | None
    name: str


@dataclass(frozen=True)
class Options:
    """What is asked of every instance; ``output`` is where certificates and witnesses go (None: nowhere)."""

    output: Path | None = None
    exact: bool = False
    seed: int = 0
    strict_bounds: bool = False


Decide = Callable[[Instance, SharingExecutor], Row]


def read_instances(path: Path, timeout: float | None = None) -> list[Instance]:
    """The instances of a folder or of an ``instances.csv``; ``timeout`` replaces the limits written there.

    Raises InputError for a malformed or empty list.
    """
    file = path / "instances.csv" if path.is_dir() else path
    instances: list[Instance] = []
    names: Counter[str] = Counter()
    for number, cells in read_csv(file):
        if len(cells) not in (2, 3) or not all(cells[:2]):
            raise InputError(f"{file}:{number}: network,property,timeout was required, received {','.join(cells)}")
        limit = _limit(cells[2], f"{file}:{number}") if len(cells) == 3 else None
        name = f"{_stem(cells[0])}-{_stem(cells[1])}"
        names[name] += 1
        name += f"-{names[name]}" if names[name] > 1 else ""
        instances.append(Instance(file.parent, cells[0], cells[1], limit if timeout is None else timeout, name))
    if not instances:
        raise InputError(f"{file}: at least one instance was required, received none")
    return instances


def _limit(text: str, place: str) -> float:
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not 0 < limit < math.inf:
        raise InputError(f"{place}: a time limit in seconds was required, received {text!r}")
    return limit


def _stem(name: str) -> str:
    return Path(name.removesuffix(".gz")).stem


def remaining(instances: list[Instance], rows: list[Row]) -> list[Instance]:
    """The instances that have no row yet; of an instance listed several times, the last ones."""
    done = Counter((row.network, row.property) for row in rows)
    left = []
    for instance in instances:
        key = instance.network, instance.property
        if done[key]:
            done[key] -= 1
        else:
            left.append(instance)
    return left


def open_results(output: Path, resume: bool) -> ResultsFile:
    """``results.csv`` in the output folder, which is made when missing.  Raises InputError when it cannot be."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        return ResultsFile(output / "results.csv", resume)
    except OSError as error:
        raise InputError(f"{output}: a folder that can be written was required: {error.strerror or error}") from None


def run_suite(instances: list[Instance], options: Options, *, jobs: int = 1, memory_mib: int | None = None,
              results: ResultsFile | None = None, decide: Decide | None = None,
              grace: float = GRACE_SECONDS) -> Generator[tuple[Row, str], None, None]:
    """Decide the instances and yield a row for each, in the order in which they end, with the traceback of a failure.

    Each row is written to ``results`` before it is yielded.  ``decide`` stands for :func:`decide_instance`; it runs in
    worker processes.  Closing the iterator stops the workers.
    """
    if options.output is not None:
        for folder in ("certificates", "witnesses"):
            (options.output / folder).mkdir(parents=True, exist_ok=True)
    work = [Job(instance, instance.timeout) for instance in instances]
    task = decide if decide is not None else partial(decide_instance, options)
    for report in run_all(task, work, workers=jobs, grace=grace, prepare=partial(_prepare, memory_mib)):
        row = _row(instances[report.index], report)
        if results is not None:
            results.append(row)
        yield row, report.details


def _row(instance: Instance, report: Report[Row]) -> Row:
    if report.value is None:
        result = "timeout" if report.ending is Ending.OVERRAN else "error"
        row = _undecided(instance, result, report.message)
    else:
        row = report.value
    # The parent knows the costs better than the worker: units run by others are among them.
    return replace(row, seconds=report.seconds, cpu_seconds=report.cpu_seconds, peak_mib=report.peak_mib)


def _undecided(instance: Instance, result: str, reason: str) -> Row:
    return Row(instance.network, instance.property, "unknown", result, reason=reason)


def _prepare(memory_mib: int | None) -> None:
    """Load in a fresh worker what every instance needs, so that none pays for it; then bound its memory."""
    import verifier.api  # noqa: PLC0415
    import verifier.formats.onnx  # noqa: PLC0415
    import verifier.formats.vnnlib  # noqa: PLC0415
    import verifier.kernel.compiled  # noqa: F401, PLC0415

    if memory_mib is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mib * 2**20, memory_mib * 2**20))


_networks: OrderedDict[Path, LoadedNetwork] = OrderedDict()


def _load(path: Path) -> LoadedNetwork:
    from verifier.formats.onnx import read_network  # noqa: PLC0415  the parent never reads a network

    if path not in _networks:
        _networks[path] = read_network(path)
        while len(_networks) > 1 and sum(len(n.model_bytes) for n in _networks.values()) > CACHED_NETWORK_BYTES:
            _networks.popitem(last=False)
    return _networks[path]


def require_bounds(prop: Property) -> None:
    """Raise InputError when the property leaves an input without a bound."""
    if prop.unbounded:
        raise InputError(f"{prop.path}: bounds on every input were required (--strict-bounds), "
                         f"received none for {', '.join(prop.unbounded)}")


def decide_instance(options: Options, instance: Instance, executor: SharingExecutor) -> Row:
    """Decide one instance (in a worker).  Bad input and time-outs make a row; what should not happen is raised."""
    from verifier.api import verify  # noqa: PLC0415  heavy imports are for workers only, see _prepare
    from verifier.formats.vnnlib import read_property  # noqa: PLC0415
    from verifier.formats.witness import competition_witness  # noqa: PLC0415
    from verifier.properties.safety import Outcome  # noqa: PLC0415

    started = time.monotonic()
    try:
        network = _load(instance.folder / instance.network)
        prop = read_property(instance.folder / instance.property)
        if options.strict_bounds:
            require_bounds(prop)
        left = None if instance.timeout is None else instance.timeout - (time.monotonic() - started)
        certificate = _place(options, "certificates", f"{instance.name}.cert")
        with NewFile(certificate) as new:
            verdict = verify(network, prop, timeout=left, seed=options.seed, exact=options.exact, executor=executor,
                             compiled=True, certificate=new.file)
            if verdict.outcome is not Outcome.UNKNOWN:
                new.commit()
        if verdict.witness is not None:
            with NewFile(_place(options, "witnesses", f"{instance.name}.txt")) as new:
                new.file.write(competition_witness(verdict.witness.x, verdict.witness.y, prop.input_names,
                                                   prop.output_names).encode())
                new.commit()
    except InputError as error:
        return _undecided(instance, "error", str(error))
    costs = verdict.statistics
    row = Row(instance.network, instance.property, verdict.outcome.value, "", boxes=costs.boxes,
              check=verdict.arithmetic, check_seconds=costs.check_seconds, reason=verdict.reason)
    if verdict.outcome is Outcome.UNKNOWN:
        late = instance.timeout is not None and time.monotonic() - started >= instance.timeout
        return replace(row, result="timeout" if late else "unknown")
    return replace(row, result=WORD_OF[verdict.outcome.value], certificate_bytes=costs.certificate_bytes,
                   certificate="" if options.output is None else certificate.name)


def _place(options: Options, folder: str, name: str) -> Path:
    return Path(os.devnull) if options.output is None else options.output / folder / name
