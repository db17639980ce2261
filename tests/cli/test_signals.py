"""Signals while the command line starts, and while its workers do: the exit codes that are documented, nothing left."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.conftest import ROOT
from tests.support import noise, small
from vitjax.optimize import workers
from vitjax.optimize.recipes import choose
from vitjax.optimize.schedule.batches import batches_of
from vitjax.stop import stopped_by_signals
from vitjax.units.units import expand


def struck(moment: str, signum: int, *arguments: str, ignored: bool = False) -> tuple[int, str]:
    """The exit code of `vitjax ARGUMENTS` that gets a signal at the import of a module, and what it says of it."""
    how = "SIG_IGN" if ignored else "default_int_handler" if signum == signal.SIGINT else "SIG_DFL"
    source = f"""
import os, runpy, signal, sys
signal.signal({int(signum)}, signal.{how})  # as if started so: a parent that says it would have to fork beside JAX
class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            os.kill(os.getpid(), {int(signum)})
sys.meta_path.insert(0, Strike())
sys.argv = ["vitjax", *{list(arguments)!r}]
runpy.run_module("vitjax", run_name="__main__", alter_sys=True)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", source], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize("moment", ["vitjax.cli", "numpy", "jax"])
def test_an_atlas_that_starts_is_ended_at_once(moment):
    again = "vitjax: stopped while starting; run the same command again"
    assert struck(moment, signal.SIGTERM, "atlas", "--out", "nowhere") == (75, again)
    assert struck(moment, signal.SIGINT, "atlas", "--out", "nowhere") == (130, "vitjax: interrupted")


@pytest.mark.parametrize("command", [["train"], ["dictionary", "train"]])
def test_so_is_a_training_whose_command_goes_on(command):
    assert struck("vitjax.cli", signal.SIGTERM, *command, "--out", "nowhere")[0] == 75


def test_other_commands_are_interrupted_as_usual():
    assert struck("vitjax.cli", signal.SIGINT, "models") == (130, "vitjax: interrupted")
    assert struck("vitjax.weights.catalog", signal.SIGINT, "models") == (130, "vitjax: interrupted")
    assert struck("vitjax.cli", signal.SIGTERM, "models")[0] == -signal.SIGTERM
    assert struck("vitjax.cli", signal.SIGTERM, "dictionary", "score")[0] == -signal.SIGTERM


def test_a_signal_that_is_ignored_stays_so():
    assert struck("vitjax.cli", signal.SIGINT, "--version", ignored=True)[0] == 0
    assert struck("vitjax.cli", signal.SIGTERM, "atlas", "--help", ignored=True)[0] == 0


def test_a_run_that_works_answers_in_its_own_way(monkeypatch):
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail(f"left with {code}"))
    before = [signal.signal(number, lambda *_: os._exit(1)) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        with stopped_by_signals() as stop:
            signal.raise_signal(signal.SIGTERM)
            assert stop.asked.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


@pytest.mark.parametrize("moment", [0, 1], ids=["before the first", "before the second"])
def test_an_interrupt_while_workers_start_leaves_none(monkeypatch, moment):
    started = []

    class Interrupted(threading.Thread):
        def start(self):
            if len(started) == moment:
                raise KeyboardInterrupt
            started.append(self)
            super().start()

    model = noise.model(small.CONFIG)
    device = workers.jax.local_devices()[0]
    monkeypatch.setattr(workers, "Thread", Interrupted)
    monkeypatch.setattr(workers.jax, "local_devices", lambda: [device, device])
    batches = batches_of(expand("blocks.1.mlp.hidden:0-3", model.taps()), 2)
    with pytest.raises(KeyboardInterrupt):
        next(workers.run(workers.Task(model, choose("default", steps=2, views=1)), batches))
    assert len(started) == moment and not any(thread.is_alive() for thread in started)
