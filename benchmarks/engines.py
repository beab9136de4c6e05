"""Do the engines agree?  ``python -m benchmarks.engines FOLDER [--properties NAME ...] [--seconds S] [--brute N]``

Every instance of a family is decided by cells (engine *propagate*) and by branch and bound; where there are at most N
cells and ``--brute`` is given, also by ``tests.reference.decide``, which shares nothing with either.  An instance on
which the cells take more than S CPU seconds is left out (the limit is one of wall time, so on a busy machine a few more
are).  Certificates are checked by the kernel in both cases.  Prints disagreements, each undecided instance, and totals;
the exit code is 1 when there was a disagreement, with ``expected.csv`` too if there is one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from tests.reference import decide
from verifier.api import verify
from verifier.engines.propagate import count_cells
from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import read_property
from verifier.properties.safety import Outcome
from verifier.results import WORD_OF, read_expected
from verifier.suite import Instance, read_instances

WORDS = {word: verdict for verdict, word in WORD_OF.items()}


def verdicts(instance: Instance, seconds: float, brute: int) -> tuple[dict[str, str], dict[str, float]]:
    """What each engine says of an instance, and its CPU seconds; propagation alone when it did not finish."""
    network = read_network(instance.folder / instance.network)
    prop = read_property(instance.folder / instance.property)
    said: dict[str, str] = {}
    spent: dict[str, float] = {}
    for engine in ("propagate", "branch"):
        start = time.process_time()
        said[engine] = verify(network, prop, engine=engine, timeout=seconds).outcome.value
        spent[engine] = time.process_time() - start
        if said[engine] == Outcome.UNKNOWN.value:
            return said, spent
    queries = prop.queries(network.network)
    if brute and sum(count_cells(query.network, query.domain) for query in queries) <= brute:
        start = time.process_time()
        said["brute force"] = "holds" if all(decide(query) is None for query in queries) else "violated"
        spent["brute force"] = time.process_time() - start
    return said, spent


def main() -> int:
    """Compare and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("--properties", nargs="*", default=[], help="only instances whose property file is so named")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--brute", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="take every n-th instance only")
    options = parser.parse_args()
    instances = [i for i in read_instances(options.family, None)
                 if not options.properties or Path(i.property).name.split(".")[0] in options.properties]
    table = options.family / "expected.csv"
    expected = read_expected(table) if table.exists() else {}
    totals: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for instance in instances[::options.every]:
        said, spent = verdicts(instance, options.seconds, options.brute)
        name = f"{Path(instance.network).name} {Path(instance.property).name}"
        seconds.update(spent)
        if Outcome.UNKNOWN.value in said.values():
            print(f"undecided: {name}: {said}", flush=True)
            totals["undecided"] += 1
            continue
        totals.update(dict.fromkeys(said, 1))
        totals["violated"] += said["branch"] == "violated"
        known = expected.get((Path(instance.network).name, Path(instance.property).name))
        words = {*said.values(), *([WORDS[known]] if known in WORDS else [])}
        if len(words) > 1:
            print(f"DISAGREEMENT: {name}: {said}, expected {known}", flush=True)
            totals["disagreements"] += 1
    print(f"{len(instances[::options.every])} instances, {totals['undecided']} left out, "
          f"{totals['violated']} violated; "
          + "; ".join(f"{engine}: {totals[engine]} in {seconds[engine]:.1f} CPU s" for engine in
                      ("propagate", "branch", "brute force") if totals[engine])
          + f"; {totals['disagreements']} disagreements")
    return int(totals["disagreements"] > 0)


if __name__ == "__main__":
    sys.exit(main())
