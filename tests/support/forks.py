"""Programs of tests as forks of a process that has imported JAX, which each would else take over two seconds for.

A fork runs and ends as `python -W error -m MODULE …` or `… -c SOURCE` would, with the environment that it is given. It
computes nothing before it is forked, so JAX has no threads yet. `python -m tests.support.forks SOCKET` is the process
that is forked; it ends with the tests that began it.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import jax

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = ("vitjax.data.pipeline", "vitjax.optimize.loop", "vitjax.train.classification", "vitjax.train.run")
SETTINGS = {"jax_platforms": str, "jax_num_cpu_devices": int}  # that JAX reads from the environment when it is imported
LONGEST = 1 << 20  # bytes of a message


class Fork:
    """A program that was begun; its `pid` while it runs."""

    def __init__(self, report: int, *written: IO[str]):
        self._report, self._written = os.fdopen(report), written
        self.pid = int(self._report.readline())

    def ended(self, timeout: float) -> tuple[int, str, str]:
        """Waits for its end, and kills it after so many seconds.

        Returns:
            The exit code as of `subprocess.Popen`, what it wrote to its standard output, and to its standard error.
        """
        if not select.select([self._report], [], [], timeout)[0]:
            os.kill(self.pid, signal.SIGKILL)
        with self._report:
            code = int(self._report.readline())
        out, err = map(_read, self._written)
        return code, out, err


class Forks:
    """Begins programs. The process that is forked is there from the first of them to the end of the `with`."""

    def __init__(self):
        self._requests: socket.socket | None = None

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *error: object) -> None:
        if self._requests:
            self._requests.close()
            self._server.wait()

    def begin(self, command: Sequence[str], environment: Mapping[str, str]) -> Fork:
        """Begins a program: `-m MODULE …` or `-c SOURCE`, with all the variables that its environment is to have."""
        if self._requests is None:
            self._requests, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
            with theirs:
                line = [sys.executable, "-W", "error", "-m", __name__, str(theirs.fileno())]
                self._server = subprocess.Popen(line, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        written = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115, closed when they are read
        report, theirs = os.pipe()
        message = json.dumps([list(command), dict(environment)]).encode()
        socket.send_fds(self._requests, [message], [*(file.fileno() for file in written), theirs])
        os.close(theirs)
        return Fork(report, *written)


def _read(file: IO[str]) -> str:
    """All that was written to a file, which is closed then."""
    with file:
        file.seek(0)
        return file.read()


def serve(requests: socket.socket) -> tuple[list[str], dict[str, str]]:
    """Forks a process for each request until there are no more; returns in the forks, with what each is to run."""
    while True:
        message, files, *_ = socket.recv_fds(requests, LONGEST, 3)
        if not message:
            requests.close()
            sys.exit()
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
        with suppress(ChildProcessError):  # where there is none at all
            while os.waitpid(-1, os.WNOHANG)[0]:  # of earlier ones what has ended
                pass
    requests.close()
    *given, report = files
    if child := os.fork():  # the parent waits for the program, and tells
        os.write(report, b"%d\n" % child)
        for file in given:
            os.close(file)
        os.write(report, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    os.close(report)
    for number, file in enumerate(given, start=1):
        os.dup2(file, number)
        os.close(file)
    return json.loads(message)


def main() -> None:
    """Imports, then is forked; in a fork runs its program."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()
    (way, what, *arguments), environment = serve(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(environment)
    for name, kind in SETTINGS.items():
        if name.upper() in environment:
            jax.config.update(name, kind(environment[name.upper()]))
    sys.argv = [way, *arguments]
    if way == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
