"""What a suite leaves behind: rows, the file they are written to, and what they amount to.

A row is one line written by one system call, after the files it names are complete.  So when a suite is killed, the
file holds the rows of all finished instances, at most followed by a torn line, which the next run cuts off.
"""

from __future__ import annotations

import csv
import io
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType

from verifier.formats.errors import InputError

WORD_OF = {"violated": "sat", "holds": "unsat"}
"""The competition's words for the verdicts: its files state the counterexample."""


@dataclass(frozen=True)
class Row:
    """One instance, decided or not.

    ``verdict`` is ``holds``, ``violated`` or ``unknown``; ``result`` says the same in the competition's words (``sat``,
    ``unsat``, ``unknown``, ``timeout``, ``error``).  ``seconds`` are wall seconds.  ``certificate`` is a file name in
    the folder ``certificates`` (empty: none was written); ``check`` names the arithmetic of the check that was passed;
    ``peak_mib`` is the peak memory of the worker when it was done; ``reason`` is one sentence.
    """

    network: str
    property: str
    verdict: str
    result: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    boxes: int = 0
    certificate: str = ""
    check: str = ""
    certificate_bytes: int = 0
    check_seconds: float = 0.0
    peak_mib: float = 0.0
    reason: str = ""

    def is_decided(self) -> bool:
        """Whether it holds or is violated."""
        return self.verdict in WORD_OF

    def encode(self) -> str:
        """One line of the file."""
        cells = asdict(self) | {"reason": " ".join(self.reason.split())}  # a line break would look like a whole row
        return _line([f"{value:.4f}" if isinstance(value, float) else str(value) for value in cells.values()])


_COLUMNS = [field.name for field in fields(Row)]
_NUMBERS = {field.name: {"int": int, "float": float}[str(field.type)] for field in fields(Row)
            if field.type in ("int", "float")}


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


class ResultsFile:
    """``results.csv``: a context manager; ``rows`` are the rows that were there, :meth:`append` adds one.

    With ``resume`` a torn last line is removed and the others are kept; without it, an earlier file is kept under the
    name ``results.csv~``.  Raises InputError for a file that was not written by this class.
    """

    def __init__(self, path: Path, resume: bool) -> None:
        self.path = path
        self.rows: list[Row] = []
        self.moved: Path | None = None
        if path.exists() and not resume:
            self.moved = path.with_name(path.name + "~")
            os.replace(path, self.moved)
        whole = path.read_bytes() if path.exists() else b""
        kept = whole[:whole.rfind(b"\n") + 1]
        if kept or not _line(_COLUMNS).encode().startswith(whole):
            self.rows = _read_rows(kept, path)  # before anything is cut off: it may be somebody else's file
        self._file = path.open("ab", buffering=0)
        self._file.truncate(len(kept))
        if not kept:
            self._write(_line(_COLUMNS))

    def append(self, row: Row) -> None:
        """Add a row."""
        self._write(row.encode())
        self.rows.append(row)

    def _write(self, text: str) -> None:
        data = text.encode()
        written = self._file.write(data)
        if written != len(data):
            raise OSError(f"{self.path}: only {written} of {len(data)} bytes could be written")

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()


def _read_rows(data: bytes, path: Path) -> list[Row]:
    rows = []
    try:
        lines = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
        if lines[:1] != [_COLUMNS]:
            raise InputError(f"{path}: the heading {','.join(_COLUMNS)} was required, received another")
        for number, cells in enumerate(lines[1:], start=2):
            if len(cells) != len(_COLUMNS):
                raise InputError(f"{path}:{number}: {len(_COLUMNS)} columns were required, received {len(cells)}")
            rows.append(Row(*(_NUMBERS.get(name, str)(cell) for name, cell in zip(_COLUMNS, cells, strict=True))))
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: a results file of this program was required: {error}") from None
    return rows


def read_expected(path: Path) -> dict[tuple[str, str], str]:
    """``expected.csv`` (columns network, property, expected) by the base names of network and property.

    Only ``sat`` and ``unsat`` (or ``violated`` and ``holds``) are expectations; other words, such as ``disputed``, are
    left out.  Raises InputError.
    """
    table = {}
    for number, cells in read_csv(path):
        if len(cells) != 3:
            raise InputError(f"{path}:{number}: the columns network,property,expected were required, "
                             f"received {len(cells)} columns")
        network, prop, word = cells
        word = WORD_OF.get(word, word)
        if word in WORD_OF.values():
            table[Path(network).name, Path(prop).name] = word
    return table


def read_csv(path: Path) -> list[tuple[int, list[str]]]:
    """The non-empty lines of a csv file with their numbers, cells stripped; a first line that begins with ``network``
    is a heading and left out.  Raises InputError."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except OSError as error:
        raise InputError(f"{path}: a readable file was required: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: a csv file in UTF-8 was required: {error}") from None
    return lines[1:] if lines and lines[0][1][0] == "network" else lines


def expectation(row: Row, expected: dict[tuple[str, str], str]) -> str | None:
    """The result that is expected of a row, if any."""
    return expected.get((Path(row.network).name, Path(row.property).name))


def contradictions(rows: Sequence[Row], expected: dict[tuple[str, str], str]) -> list[tuple[Row, str]]:
    """The decided rows whose result is not the expected one, with that one."""
    pairs = [(row, expectation(row, expected)) for row in rows if row.is_decided()]
    return [(row, word) for row, word in pairs if word is not None and word != row.result]


@dataclass(frozen=True)
class Summary:
    """The table at the end of a suite; times are seconds, ``worst`` is the instance with most CPU seconds.

    ``wall_seconds`` are those of this run alone, all others are sums over the rows, those of earlier runs included.
    """

    instances: int
    decided: int
    holds: int
    violated: int
    errors: int
    timeouts: int
    compared: int
    wrong: int
    wall_seconds: float
    cpu_seconds: float
    median_cpu_seconds: float
    worst_cpu_seconds: float
    worst: str
    boxes: int
    certificate_bytes: int
    check_seconds: float
    peak_mib: float


def summarise(rows: Sequence[Row], instances: int, expected: dict[tuple[str, str], str],
              wall_seconds: float) -> Summary:
    """What the rows amount to."""
    verdicts = Counter(row.verdict for row in rows)
    results = Counter(row.result for row in rows)
    worst = max(rows, key=lambda row: row.cpu_seconds, default=None)
    return Summary(
        instances=instances, decided=sum(row.is_decided() for row in rows), holds=verdicts["holds"],
        violated=verdicts["violated"], errors=results["error"], timeouts=results["timeout"],
        compared=sum(row.is_decided() and expectation(row, expected) is not None for row in rows),
        wrong=len(contradictions(rows, expected)), wall_seconds=wall_seconds,
        cpu_seconds=sum(row.cpu_seconds for row in rows),
        median_cpu_seconds=statistics.median(row.cpu_seconds for row in rows) if rows else 0.0,
        worst_cpu_seconds=worst.cpu_seconds if worst else 0.0,
        worst=f"{Path(worst.network).name} {Path(worst.property).name}" if worst else "",
        boxes=sum(row.boxes for row in rows), certificate_bytes=sum(row.certificate_bytes for row in rows),
        check_seconds=sum(row.check_seconds for row in rows), peak_mib=max((row.peak_mib for row in rows), default=0.0))
