"""One instance by Marabou, in a process of its own: it prints as it likes, and may crash or hang.

    python benchmarks/marabou.py NET.onnx SPEC.vnnlib SECONDS

The last line on standard output is one JSON object: the answer in the competition's words, and the CPU seconds from
reading the network to the answer.  Marabou answers from floating-point arithmetic; its word is reported as it is.
"""

from __future__ import annotations

import json
import sys
import time
import warnings


def main() -> None:
    """Solve the instance named by the arguments."""
    network, prop, seconds = sys.argv[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about readers of other formats that are not installed
        from maraboupy import Marabou  # noqa: PLC0415
    started = time.process_time()
    options = Marabou.createOptions(verbosity=0, timeoutInSeconds=round(float(seconds)))
    result, _, _ = Marabou.read_onnx(network).solve(verbose=False, options=options, propertyFilename=prop)
    spent = time.process_time() - started
    sys.stdout.flush()
    print(json.dumps({"result": result.lower(), "cpu_seconds": spent}))


if __name__ == "__main__":
    main()
