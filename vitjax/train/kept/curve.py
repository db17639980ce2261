"""Keeps the curve of a training: a row of JSON every few steps, and the same for TensorBoard and Weights & Biases."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitjax.data.files.images import checksum
from vitjax.errors import InputError, remark
from vitjax.files import parse_json

CURVE = "curve.jsonl"
EVENTS = "tensorboard"


class Curve:
    """The curve of a run, in its folder; rows after the step that it goes on from are dropped.

    Args:
        folder: of the run.
        step: that it goes on from.
        tensorboard: whether it goes there.
        project: of Weights & Biases; none if empty.
        about: what a run there is told of its settings.

    Attributes:
        seconds: how long the run had taken at its last row.

    Raises:
        InputError: the curve that is there is damaged; Weights & Biases is asked for and not installed.
    """

    def __init__(
        self,
        folder: Path,
        step: int = 0,
        tensorboard: bool = True,
        project: str = "",
        about: Mapping[str, Any] = {},
    ):
        self.path = folder / CURVE
        lines = enumerate(_lines(self.path), start=1)
        rows = [parse_json(line, f"line {number} of {self.path}") for number, line in lines]
        rows = [row for row in rows if row.get("step", 0) <= step]
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.seconds = max((row.get("seconds", 0.0) for row in rows), default=0.0)
        self._events = self._project = None
        if tensorboard:
            try:
                from tensorboardX import SummaryWriter

                self._events = SummaryWriter(str(folder / EVENTS), purge_step=step + 1)
            except ImportError:
                remark(f"no curve for TensorBoard, which needs vitjax[train]; {CURVE} has all of it")
        if project:
            try:
                import wandb
            except ImportError:
                raise InputError("--wandb needs Weights & Biases: install vitjax[wandb]") from None
            whole = folder.absolute()
            how = {"id": f"{whole.name}-{checksum([str(whole)])}", "name": whole.name, "dir": str(folder)}
            try:
                self._project = wandb.init(project=project, config=dict(about), resume="allow", **how)
            except wandb.Error as error:
                raise InputError(f"--wandb: {error}; WANDB_MODE=offline keeps the curve for later") from None

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Adds a row."""
        row = {"step": step, **{name: float(f"{value:.6g}") for name, value in numbers.items()}}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if self._events:
            for name, value in numbers.items():
                self._events.add_scalar(name, value, step)
        if self._project:
            self._project.log(dict(numbers), step=step)

    def close(self) -> None:
        """Writes what is left to write."""
        if self._events:
            self._events.close()
        if self._project:
            self._project.finish()


def _lines(path: Path) -> list[str]:
    """The whole lines of a file, without what a killed process left of its last."""
    lines: list[str] = []
    with suppress(FileNotFoundError):
        lines = path.read_text().splitlines()
    if lines:
        try:
            json.loads(lines[-1])
        except ValueError:
            lines.pop()
    return lines
