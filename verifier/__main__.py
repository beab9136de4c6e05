"""``python -m verifier``, and the command ``verifier``: a broken installation ends with exit code 70 here, too."""

import sys

from verifier.ending import FAILED, INTERRUPTED, complain, explain, without_answer


def main() -> None:
    """Run the command line and exit with the code of its answer, also when it cannot even be loaded."""
    try:
        from verifier import cli  # noqa: PLC0415  what it imports may be missing
    except BaseException as error:
        code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
        sentence = "interrupted" if code == INTERRUPTED else f"internal error: {explain(error)}"
        complain(sentence)
        sys.exit(without_answer(code, sentence, sys.argv[1:]))
    cli.main()


if __name__ == "__main__":
    main()
