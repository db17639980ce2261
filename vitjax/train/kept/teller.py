"""Says how a training goes while it does: a line on the terminal, and the curve."""

import logging
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm  # a notebook's own where there is one
from tqdm.contrib.logging import logging_redirect_tqdm

from vitjax.progress import COMPILING
from vitjax.train.kept.curve import Curve
from vitjax.train.settings import Running
from vitjax.train.training import Course


class Teller:
    """Says how a training goes: a line on the terminal, and the curve.

    Args:
        training: that runs.
        out: its folder.
        done: steps that were taken before.
        running: how.

    Attributes:
        curve: to which more may be added.
    """

    def __init__(self, training: Course, out: Path, done: int, running: Running):
        self.training, self.curve = training, Curve(out, done, running.tensorboard, running.wandb, training.identity())
        what = f"{COMPILING} {training.name}"
        self.bar = tqdm(total=training.steps, initial=done, desc=what, unit="step", dynamic_ncols=True)
        self.clock, self.before = time.perf_counter(), self.curve.seconds
        self.closing = ExitStack()

    def __enter__(self) -> "Teller":
        self.closing.callback(self.curve.close)
        self.closing.callback(self.bar.close)
        self.closing.enter_context(logging_redirect_tqdm([logging.getLogger("vitjax")]))  # above the line, not in it
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.close()

    def tell(self, steps: list[tuple[int, dict]]) -> None:
        """Tells of the steps since the last time: the means of what they gave."""
        numbers = {name: float(np.mean([float(told[name]) for _, told in steps])) for name in steps[0][1]}
        now, step = time.perf_counter(), steps[-1][0]
        spent, self.clock = now - self.clock, now
        self.before += spent
        rates = {f"{name}_per_second": len(steps) * count / spent for name, count in self.training.pace.items()}
        *_, rate = rates.values()
        epoch = self.training.epoch(step)
        self.curve.add(step, {"epoch": epoch, **numbers, **rates, "seconds": self.before})
        compiled = self.bar.desc.startswith(COMPILING)  # before these steps
        self.bar.set_description_str(self.training.name, refresh=False)
        self.bar.update(step - self.bar.n)
        speed = "" if compiled else f"{rate:.0f} {self.training.called}/s, "
        self.bar.set_postfix_str(f"loss {numbers['loss']:.4f}, {speed}epoch {epoch:.1f}")
