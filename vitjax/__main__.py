"""The command line as a process of its own: `python -m vitjax`, and what `vitjax` runs.

Signals are answered from the first moment on. While an atlas or a training is starting (imports, weights, photographs)
there is nothing to lose: a signal ends the process at once, with the exit code that is documented, whatever library is
at work. Later, and in all other commands, Ctrl-C is an exception as everywhere in Python, so that what was begun is
cleaned up.
"""

import os
import signal
import sys
from collections.abc import Callable

from vitjax.errors import AGAIN, INTERRUPTED

WHOLE = {"export", "--verify", "score"}  # of `atlas` and `dictionary`, what is done in one go
RESUMED = {"atlas", "pretrain", "train", "finetune", "dictionary"}  # commands that go on where they were stopped


def run() -> None:
    """Runs the command line and ends the process with its exit code."""
    resumed = bool(RESUMED & set(sys.argv[1:2])) and not WHOLE & set(sys.argv[2:])
    leave = _leaving(INTERRUPTED, "vitjax: interrupted")
    _answer(signal.SIGINT, leave, signal.default_int_handler)
    if resumed:
        again = _leaving(AGAIN, "vitjax: stopped while starting; run the same command again")
        _answer(signal.SIGTERM, again, signal.SIG_DFL)
    from vitjax.cli import main

    if not resumed:
        _answer(signal.SIGINT, signal.default_int_handler, leave)
    try:
        code = main()
    except KeyboardInterrupt:  # a second one, while the first was seen to
        code = INTERRUPTED
    if code not in (0, AGAIN):  # threads may be within a library still, which does not survive Python's orderly end
        _end(code)
    _answer(signal.SIGINT, leave, signal.default_int_handler)
    sys.exit(code)


def _answer(signum: int, how: Callable, usual: object) -> None:
    """Has a signal answered, unless whoever started the process had it ignored, as `nohup` does."""
    if signal.getsignal(signum) is usual:
        signal.signal(signum, how)


def _leaving(code: int, said: str) -> Callable:
    """What ends the process at once with an exit code."""

    def leave(*_: object) -> None:
        os.write(2, f"{said}\n".encode())
        os._exit(code)

    return leave


def _end(code: int) -> None:
    """Ends the process with what was printed, and nothing else."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # whoever read it has gone
            continue
    os._exit(code)


if __name__ == "__main__":
    run()
