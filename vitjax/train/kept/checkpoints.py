"""Keeps the state of a training on disk by Orbax: the last few, each whole or not at all, written while it goes on."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from vitjax.errors import InputError
from vitjax.train.loop.step import State

FOLDER = "checkpoints"


class Checkpoints:
    """The checkpoints of a run; `kept` opens them.

    Args:
        folder: of the run.
        manager: Orbax's.
    """

    def __init__(self, folder: Path, manager: ocp.CheckpointManager):
        self.folder, self._manager = folder, manager

    @property
    def last(self) -> int | None:
        """The step of the last one; None if there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: State) -> None:
        """Begins to write a checkpoint; the state may be used up meanwhile. One that is there already stays."""
        if step != self.last:
            self._manager.save(step, args=ocp.args.StandardSave(_named(state)))

    def restore(self, wanted: State) -> State:
        """Reads the last one.

        Args:
            wanted: shapes of the state, with where each array shall lie.

        Raises:
            InputError: it is damaged, or another training's.
        """
        step, named = self.last, _named(wanted)
        where = self.folder / FOLDER / str(step)
        tell, sys.unraisablehook = sys.unraisablehook, partial(_heard, sys.unraisablehook)
        again = f"remove {where} to go on from the one before it, if there is one"
        try:
            held = self._manager.item_metadata(step)
            other = _differing(named, held)
            found = None if other else self._manager.restore(step, args=ocp.args.StandardRestore(named))
        except Exception as error:  # anything that a damaged file leads TensorStore and Orbax to
            line = next(iter(str(error).splitlines()), "")[:200]
            raise InputError(f"the checkpoint {where} is damaged ({type(error).__name__}: {line}); {again}") from None
        sys.unraisablehook = tell
        if other:
            raise InputError(f"the checkpoint {where} is of another training: {other}")
        empty = lambda leaf: jax.device_put(jnp.zeros(leaf.shape, leaf.dtype), leaf.sharding)
        leaves = [found[name] if name in found else empty(leaf) for name, leaf in _leaves(wanted)]
        return jax.tree.unflatten(jax.tree.structure(wanted), leaves)


@contextmanager
def kept(folder: Path, count: int) -> Iterator[Checkpoints]:
    """Opens the checkpoints of a run, and waits at the end for those that are being written.

    Args:
        folder: of the run.
        count: how many of the last ones are kept.
    """
    options = ocp.CheckpointManagerOptions(max_to_keep=count, enable_async_checkpointing=True)
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)  # Orbax tells of every file
    try:
        handler = ocp.StandardCheckpointHandler()
        with ocp.CheckpointManager((folder / FOLDER).absolute(), options=options, item_handlers=handler) as manager:
            yield Checkpoints(folder, manager)
    finally:
        log.setLevel(level)


def _heard(tell: Callable[[Any], None], what: Any) -> None:
    """Tells of an exception that nobody could catch, but for those of reads that Orbax no longer waits for."""
    if not (isinstance(what.exc_value, RuntimeError) and "Event loop is closed" in str(what.exc_value)):
        tell(what)


def _named(state: State) -> dict[str, Any]:
    """The arrays of a state by dotted name, which is how Orbax keeps them; it keeps none that are empty."""
    return {name: leaf for name, leaf in _leaves(state) if leaf.size}


def _leaves(state: State) -> list[tuple[str, Any]]:
    """All arrays of a state in their order, each with its dotted name."""
    paths = jax.tree_util.tree_flatten_with_path(state)[0]
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in paths]


def _differing(wanted: dict[str, Any], held: Any) -> str:
    """Names the first array in which a checkpoint is not what is wanted."""
    held = {name: tuple(leaf.shape) for name, leaf in held.items()}
    for name, leaf in wanted.items():
        if name not in held:
            return f"it has no {name}"
        if held[name] != leaf.shape:
            return f"{name} is {held[name]} instead of {leaf.shape}"
    return next((f"it has {name}" for name in held if name not in wanted), "")
