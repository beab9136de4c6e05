"""How a family of instances fares: decided, wrong, CPU seconds, proofs and the time to check them; Marabou beside it.

    python benchmarks/family.py FOLDER [--exact] [--marabou] [--timeout SECONDS] [--every N] [--jobs N]

What is measured.  The suite decides every instance in a worker process, as ``verifier suite`` does: the CPU seconds of
an instance are those of reading it, searching, writing the certificate and checking it once (rigorously).  Loading
the libraries is not part of them.  Then every certificate is read back from its file and checked anew, as ``verifier
check`` does, in rigorous floating point and, with ``--exact``, in integers; these CPU seconds are those of the check
alone.  Marabou gets the same instances, in this same run, each in a process of its own with the same limit; its CPU
seconds, too, leave out loading the libraries.

The result is printed as rows of the tables in PERFORMANCE.md, with the machine and the command above them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from verifier.formats.errors import InputError
from verifier.progress import Bar
from verifier.results import Row, contradictions, read_expected, summarise
from verifier.suite import GRACE_SECONDS, Instance, Options, open_results, read_instances, run_suite

HEADING = ("family", "tool", "decided", "wrong", "CPU s", "median", "worst", "worst instance")
PROOF_HEADING = ("family", "boxes", "certificates", "bytes", "rigorous check, CPU s", "median", "worst",
                 "exact check, CPU s", "median", "worst", "peak MiB")


@dataclass(frozen=True)
class Checks:
    """CPU seconds of checking each certificate once more, from its file, and what was rejected (one line each)."""

    seconds: tuple[float, ...] = ()
    rejected: tuple[str, ...] = ()

    def cells(self) -> tuple[str, str, str]:
        """Total, median and worst."""
        if not self.seconds:
            return "-", "-", "-"
        return (f"{sum(self.seconds):.2f}", f"{statistics.median(self.seconds):.4f}", f"{max(self.seconds):.2f}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Worker processes of the suite.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Limit of wall time for each instance.")
@click.option("--every", type=click.IntRange(min=1), default=1, show_default=True,
              help="Take one instance out of so many.")
@click.option("--exact", is_flag=True, help="Check every certificate in integers, too.")
@click.option("--marabou", is_flag=True, help="Run Marabou (package maraboupy) on the same instances.")
@click.option("--output", type=click.Path(path_type=Path), help="Keep results and certificates in this folder.")
def main(folder: Path, *, jobs: int, timeout: float | None, every: int, exact: bool, marabou: bool,
         output: Path | None) -> None:
    """Measure the family in FOLDER (with an instances.csv and perhaps an expected.csv)."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before anything loads numpy, here or in a worker
    if marabou and importlib.util.find_spec("maraboupy") is None:
        raise click.UsageError("--marabou requires the package maraboupy")
    try:
        instances = read_instances(folder, timeout)[::every]
        beside = instances[0].folder / "expected.csv"
        expected = read_expected(beside) if beside.exists() else {}
    except InputError as error:
        raise click.UsageError(str(error)) from None
    with tempfile.TemporaryDirectory() as scratch:
        place = output or Path(scratch)
        ours, seconds = decide(instances, place, jobs)
        rigorous = check_all(instances, ours, place, exact=False)
        exactly = check_all(instances, ours, place, exact=True) if exact else Checks()
    theirs = list(run_marabou(instances)) if marabou else []

    name = folder.resolve().name
    summary = summarise(ours, len(instances), expected, seconds)
    print(f"`{shlex.join(['python', *sys.argv])}`\n")
    print(f"{machine()}; {seconds:.0f} s of wall time with {jobs} job{'s' if jobs > 1 else ''}.\n")
    table(HEADING, [speed_cells(name, "verifier", len(instances), ours, expected),
                    *([speed_cells(name, "Marabou", len(instances), theirs, expected)] if marabou else [])])
    table(PROOF_HEADING, [(name, f"{summary.boxes:,}", str(sum(bool(row.certificate) for row in ours)),
                           f"{summary.certificate_bytes:,}", *rigorous.cells(), *exactly.cells(),
                           f"{summary.peak_mib:.0f}")])
    for line in (*rigorous.rejected, *exactly.rejected):
        print(f"- {line}")
    for tool, rows in (("verifier", ours), ("Marabou", theirs)):
        for row, word in contradictions(rows, expected):
            print(f"- {tool} says {row.result}, expected is {word}: {row.network} {row.property}")
        for row in rows:
            if not row.is_decided():
                print(f"- {tool} leaves open ({row.result}): {row.network} {row.property} {row.reason}".rstrip())


def decide(instances: Sequence[Instance], place: Path, jobs: int) -> tuple[list[Row], float]:
    """All rows of the suite, and its wall seconds."""
    started = time.monotonic()
    rows = []
    with open_results(place, resume=False) as file, Bar() as bar:
        for row, _ in run_suite(list(instances), Options(output=place), jobs=jobs, results=file):
            rows.append(row)
            bar.update(len(rows) / len(instances), f"suite {len(rows)}/{len(instances)}")
    return rows, time.monotonic() - started


def check_all(instances: Sequence[Instance], rows: Sequence[Row], place: Path, *, exact: bool) -> Checks:
    """Check every certificate, one after the other, in this process."""
    import verifier.kernel.compiled  # noqa: F401, PLC0415  as in the suite's workers: loading it is not checking
    from verifier import InvalidCertificate, check, read_network, read_property  # noqa: PLC0415  after the environment

    folder, arithmetic = instances[0].folder, "exact" if exact else "rigorous"
    seconds, rejected = [], []
    with Bar() as bar:
        for done, row in enumerate(row for row in rows if row.certificate):
            bar.update(done / len(rows), f"{arithmetic} check {done}/{len(rows)}")
            network, prop = read_network(folder / row.network), read_property(folder / row.property)
            started = time.process_time()
            try:
                with (place / "certificates" / row.certificate).open("rb") as file:
                    check(file, network, prop, exact=exact)
            except InvalidCertificate as error:
                rejected.append(f"the {arithmetic} check rejects {row.certificate}: {error}")
            seconds.append(time.process_time() - started)
    return Checks(tuple(seconds), tuple(rejected))


def run_marabou(instances: Sequence[Instance]) -> Iterator[Row]:
    """One row for each instance."""
    words = {"sat": "violated", "unsat": "holds"}
    with Bar() as bar:
        for done, instance in enumerate(instances):
            bar.update(done / len(instances), f"Marabou {done}/{len(instances)}")
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, str(Path(__file__).with_name("marabou.py")),
                       str(instance.folder / instance.network), str(instance.folder / instance.property),
                       str(instance.timeout or 0)]
            result, seconds, reason = "error", None, ""
            try:
                ended = subprocess.run(command, capture_output=True, text=True, check=False,
                                       timeout=instance.timeout and instance.timeout + GRACE_SECONDS)
                if ended.returncode == 0:
                    answer = json.loads(ended.stdout.splitlines()[-1])
                    result, seconds = answer["result"], answer["cpu_seconds"]
                else:
                    reason = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
            except subprocess.TimeoutExpired:
                result = "timeout"
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            yield Row(instance.network, instance.property, words.get(result, "unknown"), result,
                      cpu_seconds=spent if seconds is None else seconds, reason=reason)


def speed_cells(family: str, tool: str, instances: int, rows: Sequence[Row],
                expected: dict[tuple[str, str], str]) -> tuple[str, ...]:
    """One row of the first table."""
    s = summarise(rows, instances, expected, 0.0)
    return (family, tool, f"{s.decided} of {s.instances}", f"{s.wrong} of {s.compared}", f"{s.cpu_seconds:.2f}",
            f"{s.median_cpu_seconds:.3f}", f"{s.worst_cpu_seconds:.2f}", s.worst)


def machine() -> str:
    """What this ran on."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "numba", "python-flint"))
    return f"{model}, {os.cpu_count()} CPUs; Python {platform.python_version()}, {versions}"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    for cells in (heading, ["---"] * len(heading), *rows):
        print(f"| {' | '.join(cells)} |")
    print()


if __name__ == "__main__":
    main()
