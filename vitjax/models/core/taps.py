"""Named reads and edits of activations, resolved while the forward pass is traced.

A tap is a line in the forward pass, `q = taps("q", q)`: it returns the value unchanged, or what an edit made of it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from vitjax.errors import InputError, nearest
from vitjax.models.core.vocabulary import split_tap

Edit = Callable[[jax.Array], jax.Array]
DROPPING = ("embed", "resid_pre")  # taps at which an edit may drop tokens


class Taps:
    """Keeps the activations named in `reads` and replaces those named in `edits` by `edit(value)`.

    An edit gives floats of the same shape. Only where tokens enter the blocks or one of them (`embed`, `resid_pre`) may
    it give fewer of a Vision Transformer's tokens, and what follows runs on the rest.
    Made inside the traced function, handed down the model; `values` holds what was read. `record=True` keeps every
    activation that passes. `scope` gives the same taps under a longer prefix.
    """

    def __init__(self, reads: Iterable[str] = (), edits: Mapping[str, Edit] | None = None, record: bool = False):
        self.reads, self.edits, self.record = frozenset(reads), dict(edits or {}), record
        self.values: dict[str, jax.Array] = {}
        self.prefix, self._passed = "", set()

    def scope(self, name: str) -> "Taps":
        """The same taps, seen from inside the part of the model called `name`."""
        inner = object.__new__(Taps)
        inner.__dict__.update(self.__dict__, prefix=f"{self.prefix}{name}.")
        return inner

    def __call__(self, name: str, value: jax.Array) -> jax.Array:
        """Passes an activation through the tap `name`, which is also its name for what the backward pass keeps."""
        name = self.prefix + name
        self._passed.add(name)
        if name in self.edits:
            value = _edited(name, value, self.edits[name](value))
        value = checkpoint_name(value, name)
        if self.record or name in self.reads:
            self.values[name] = value
        return value

    @property
    def done(self) -> bool:
        """Whether all that is read has been."""
        return not self.record and self.reads <= self.values.keys()

    @property
    def touched(self) -> bool:
        """Whether anything is read or edited in the part of the model that these taps are seen from."""
        return self.record or any(tap.startswith(self.prefix) for tap in self.reads | self.edits.keys())

    def want(self, *names: str) -> bool:
        """Whether one of these is read or edited, names as seen from inside the part."""
        return self.record or not {self.prefix + name for name in names}.isdisjoint(self.reads | self.edits.keys())

    def runs(self, depth: int) -> list[tuple[int, int, bool]]:
        """Splits the blocks into runs (start, stop, touched), ending after the last block that is read.

        Touched blocks come one by one, the gaps between them as one run each.
        """
        if self.record:
            return [(i, i + 1, True) for i in range(depth)]
        read = [_place(tap, depth) for tap in self.reads]
        end = max([min(place + 1, depth) for place in read], default=0)
        touched = sorted({p for tap in self.reads | self.edits.keys() if 0 <= (p := _place(tap, depth)) < end})
        runs, start = [], 0
        for block in [*touched, end]:
            if start < block:
                runs.append((start, block, False))
            if block < end:
                runs.append((block, block + 1, True))
            start = block + 1
        return runs

    def past(self, depth: int) -> bool:
        """Whether anything after the last block is read."""
        return self.record or any(_place(tap, depth) >= depth for tap in self.reads)

    def check(self, known: Callable[[], Iterable[str]]) -> None:
        """Raises if a read or an edit never met its tap; `known` lists the taps that exist."""
        lost = (self.reads | self.edits.keys()) - self._passed
        if not lost:
            return
        tap, taps = min(lost), set(known())
        if tap not in taps:
            raise InputError(f"unknown tap {tap!r}{nearest(tap, taps)}")
        raise InputError(f"the edit at {tap} has no effect: everything that is read comes before it")


def asked(reads: Iterable[str] | str | None, edits: Mapping[str, Edit] | None, default: str) -> Taps:
    """The taps of one call of a model, from what its caller gave.

    Raises:
        InputError: reads that are no names, or none at all; edits that are no functions by name.
    """
    given = [default] if reads is None else [reads] if isinstance(reads, str) else reads
    names = list(given) if isinstance(given, Iterable) else [given]
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise InputError(f"reads are names of taps, e.g. ['logits']; {wrong[0]!r} is none")
    if not names:
        raise InputError(f"no tap is read: name some, e.g. [{default!r}], or give reads=None")
    if edits is not None and not isinstance(edits, Mapping):
        raise InputError(f"edits are {{tap: function of its activation}}, not a {type(edits).__name__}")
    for name, edit in (edits or {}).items():
        if not isinstance(name, str) or not callable(edit):
            raise InputError(f"edits are {{tap: function of its activation}}; {name!r}: {edit!r} is none")
    return Taps(names, edits)


def _edited(name: str, value: jax.Array, edited: Any) -> jax.Array:
    """What an edit made of a value, if it can stand in its place."""
    if not hasattr(edited, "shape") or not hasattr(edited, "dtype"):
        raise InputError(f"the edit at {name} gave {edited!r}, it must give an array of shape {value.shape}")
    if not jnp.issubdtype(edited.dtype, jnp.floating):
        raise InputError(f"the edit at {name} gave {edited.dtype}, it must give floats, as {value.dtype}")
    dropping = split_tap(name)[1] in DROPPING
    count = edited.shape[1] if dropping and len(edited.shape) == len(value.shape) else 0
    if edited.shape != value.shape and not (count and edited.shape == (len(value), count, *value.shape[2:])):
        due = f"{value.shape}{', or fewer tokens' if dropping else ''}"
        raise InputError(f"the edit at {name} changed the shape from {value.shape} to {edited.shape}; it must be {due}")
    if count > value.shape[1]:
        raise InputError(f"the edit at {name} added tokens, {value.shape[1]} became {count}; it may only drop some")
    return jnp.asarray(edited, value.dtype)


def through(step: Callable[[Any, jax.Array, Taps], jax.Array], x: jax.Array, taps: Taps, depth: int) -> jax.Array:
    """Runs as many of a model's blocks as the reads need: touched ones unrolled, the runs between them scanned.

    Args:
        step: (number of the block, its input, taps) to its output.
        x: the first block's input.
        taps: of the whole model.
        depth: number of its blocks.
    """
    for start, stop, touched in taps.runs(depth):
        if touched:
            x = step(start, x, taps.scope(f"blocks.{start}"))
        else:
            x, _ = lax.scan(lambda x, i: (step(i, x, Taps()), None), x, jnp.arange(start, stop))
    return x


def listed(run: Callable[..., Any], *args: Any) -> dict[str, tuple[int, ...]]:
    """Every tap with its shape without the batch axis, in the order of `run(*args, taps)`, which is only traced."""
    names: list[str] = []

    def values(*args):
        taps = Taps(record=True)
        run(*args, taps)
        names.extend(taps.values)
        return list(taps.values.values())

    return {name: value.shape[1:] for value, name in zip(jax.eval_shape(values, *args), names, strict=True)}


def _place(tap: str, depth: int) -> int:
    """The block a tap stands in; -1 before the blocks, `depth` after them."""
    block, name = split_tap(tap)
    if block is not None:
        return block
    return -1 if name == "embed" else depth
