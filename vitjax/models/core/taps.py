"""Named reads and edits of activations, resolved while the forward pass is traced.

A tap is a line in the forward pass, `q = taps("q", q, "token head channel")`: it says what the axes are, and returns
the value unchanged, or what an edit made of it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from vitjax.errors import InputError
from vitjax.models.core.tap_site import NOWHERE, PLACES, Places, Site, site, unknown
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.drop_path import DropPath

Edit = Callable[[jax.Array], jax.Array]
DROPPING = ("embed", "resid_pre")  # taps at which an edit may drop tokens


class View:
    """How a value that a part computes with is shown at its taps: a part that runs on windows shows whole images."""

    def show(self, value: jax.Array, axes: tuple[str, ...]) -> tuple[jax.Array, tuple[str, ...]]:
        """The value as its tap shows it, and the names of its axes there."""
        raise NotImplementedError

    def back(self, shown: jax.Array, value: jax.Array, axes: tuple[str, ...]) -> jax.Array:
        """An edited value as the part computes with it; what the tap does not show stays as in `value`."""
        raise NotImplementedError


class Taps:
    """Keeps the activations named in `reads` and replaces those named in `edits` by `edit(value)`.

    An edit gives floats of the same shape. Only where tokens enter the blocks or one of them (`embed`, `resid_pre`) may
    it give fewer of a Vision Transformer's tokens, and what follows runs on the rest.
    Made inside the traced function, handed down the model; `values` holds what was read. `record=True` keeps every
    activation that passes, and in `sites` what each is. `scope` gives the same taps under a longer prefix, `at` among
    tokens that stand on other places. With `drop_path` blocks leave their branches out at random.
    """

    def __init__(
        self,
        reads: Iterable[str] = (),
        edits: Mapping[str, Edit] | None = None,
        record: bool = False,
        drop_path: DropPath | None = None,
    ):
        self.reads, self.edits, self.record = frozenset(reads), dict(edits or {}), record
        self.values: dict[str, jax.Array] = {}
        self.sites: dict[str, Site] = {}
        self.prefix, self.passed, self.dictionaries = "", set(), ()
        self._places, self._view, self._outside, self._drop_path = NOWHERE, None, 0, drop_path

    def scope(self, name: str) -> "Taps":
        """The same taps, seen from inside the part of the model called `name`."""
        return self._with(prefix=f"{self.prefix}{name}.")

    def block(self, number: int) -> "Taps":
        """The same taps, seen from inside a block, whose values the backward pass knows by their names in it."""
        inner = self.scope(f"blocks.{number}")
        return inner._with(_outside=len(inner.prefix), _drop_path=self._dropping(number))

    def at(self, places: Places) -> "Taps":
        """The same taps among tokens that stand on these places."""
        return self._with(_places=places)

    def viewed(self, view: View) -> "Taps":
        """The same taps for a part that computes with another form of the values than it shows."""
        return self._with(_view=view)

    def holding(self, dictionaries: Iterable[Any]) -> "Taps":
        """The same taps, those of the latents of these dictionaries (`vitjax.models.dictionary`) among them."""
        return self._with(dictionaries=tuple(dictionaries))

    def alone(self, number: jax.Array | int, names: Iterable[str] = ()) -> "Taps":
        """Taps of their own for a block that is traced once for many: they read `names`, or record if these do."""
        return Taps(names, record=self.record, drop_path=self._dropping(number)).at(self._places)

    def take(self, inner: "Taps", values: Iterable[jax.Array]) -> None:
        """Has `values` be what the taps `inner` of a block met, in their order, in the part these are seen from."""
        self.values.update((self.prefix + name, value) for name, value in zip(inner.values, values, strict=True))
        self.passed.update(self.prefix + name for name in inner.passed)
        for name, found in inner.sites.items():
            self.sites[self.prefix + name] = replace(found, before=found.before and self.prefix + found.before)

    def __call__(self, name: str, value: jax.Array, axes: str, *, before: str | None = None) -> jax.Array:
        """Passes an activation through the tap `name`, which is also its name for what the backward pass keeps.

        Args:
            name: as seen from inside the part.
            value: the activation, batch axis first.
            axes: names of its other axes, e.g. "token head channel".
            before: the tap of the same units before the activation function, as seen from inside the part.
        """
        whole, named = self.prefix + name, tuple(axes.split())
        self.passed.add(whole)
        wanted = self.record or whole in self.reads
        latents = self._asked_of(whole)
        if self._view is None:
            value = shown = checkpoint_name(self._changed(whole, value, named, latents), whole[self._outside :])
        elif wanted or whole in self.edits or latents:
            shown, seen = self._view.show(value, named)
            if whole in self.edits or latents:
                shown = self._changed(whole, shown, seen, latents)
                value = self._view.back(shown, value, named)
            named = seen
        if self._view is not None:
            value = checkpoint_name(value, whole[self._outside :])
        if wanted:
            self.values[whole] = shown
        if self.record:
            earlier = None if before is None else self.prefix + before
            self.sites[whole] = site(shown.shape[1:], named, self._places, earlier, self._view)
        return value

    def dropped(self, out: jax.Array, branch: int) -> jax.Array:
        """What a branch of a block adds to the residual stream: in some images nothing while the model learns."""
        return out if self._drop_path is None else self._drop_path(out, branch)

    @property
    def done(self) -> bool:
        """Whether all that is read has been."""
        return not self.record and self.reads <= self.values.keys()

    @property
    def unmet(self) -> set[str]:
        """What is read and has not been yet."""
        return self.reads - self.values.keys()

    @property
    def touched(self) -> bool:
        """Whether anything is read or edited in the part of the model that these taps are seen from."""
        return self.record or any(tap.startswith(self.prefix) for tap in self.reads | self.edits.keys())

    def want(self, *names: str) -> bool:
        """Whether one of these is read or edited, names as seen from inside the part."""
        return self.record or not {self.prefix + name for name in names}.isdisjoint(self.reads | self.edits.keys())

    @property
    def edited(self) -> bool:
        """Whether anything is edited, or latents are read, in the part of the model that these taps are seen from."""
        latents = (tap for one in self.dictionaries if self._asked_of(one.form.tap) for tap in one.taps)
        return any(tap.startswith(self.prefix) for tap in (*self.edits, *latents))

    def inside(self, taps: Iterable[str]) -> frozenset[str]:
        """Those of the taps that are in the part of the model that these are seen from, as they are called there."""
        return frozenset(tap.removeprefix(self.prefix) for tap in taps if tap.startswith(self.prefix))

    def check(self, known: Callable[[], Iterable[str]]) -> None:
        """Raises if a read or an edit never met its tap; `known` lists the taps that exist."""
        lost = (self.reads | self.edits.keys()) - self.passed
        if not lost:
            return
        tap, taps = min(lost), known()
        if tap not in taps:
            raise unknown(tap, taps)
        raise InputError(f"the edit at {tap} has no effect: everything that is read comes before it")

    def _dropping(self, number: jax.Array | int) -> DropPath | None:
        return self._drop_path and self._drop_path.block(f"{self.prefix}blocks", number)

    def _with(self, **changes: Any) -> "Taps":
        inner = object.__new__(Taps)
        inner.__dict__.update(self.__dict__, **changes)
        return inner

    def _asked_of(self, tap: str) -> list[Any]:
        """The dictionaries of a tap whose latents are read or edited."""
        asked = self.reads | self.edits.keys()
        return [one for one in self.dictionaries if one.form.tap == tap and (self.record or asked & {*one.taps})]

    def _changed(self, name: str, value: jax.Array, axes: tuple[str, ...], dictionaries: Iterable[Any]) -> jax.Array:
        """A value after the edits of it and of its latents, which keep what their dictionary does not explain."""
        value = self._edited(name, value)
        places = tuple(axis for axis in axes if axis in PLACES)
        for one in dictionaries:
            value = one.through(value, axes, self._places.prefix, partial(self._latents, axes=(*places, one.axis)))
        return value

    def _latents(self, name: str, value: jax.Array, before: str | None, axes: tuple[str, ...]) -> jax.Array:
        self.passed.add(name)
        value = self._edited(name, value)
        if self.record or name in self.reads:
            self.values[name] = value
        if self.record:
            self.sites[name] = site(value.shape[1:], axes, self._places, before, self._view)
        return value

    def _edited(self, name: str, value: jax.Array) -> jax.Array:
        return _checked(name, value, self.edits[name](value)) if name in self.edits else value


def asked(
    reads: Iterable[str] | str | None,
    edits: Mapping[str, Edit] | None,
    default: str,
    drop_path: DropPath | None = None,
) -> Taps:
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
    return Taps(names, edits, drop_path=drop_path)


def _checked(name: str, value: jax.Array, edited: Any) -> jax.Array:
    """What an edit made of a value, if it can stand in its place."""
    if not hasattr(edited, "shape") or not hasattr(edited, "dtype"):
        raise InputError(f"the edit at {name} gave {edited!r}, it must give an array of shape {value.shape}")
    if not jnp.issubdtype(edited.dtype, jnp.floating):
        raise InputError(f"the edit at {name} gave {edited.dtype}, it must give floats, as {value.dtype}")
    dropping = split_tap(name).name in DROPPING
    count = edited.shape[1] if dropping and len(edited.shape) == len(value.shape) else 0
    if edited.shape != value.shape and not (count and edited.shape == (len(value), count, *value.shape[2:])):
        due = f"{value.shape}{', or fewer tokens' if dropping else ''}"
        raise InputError(f"the edit at {name} changed the shape from {value.shape} to {edited.shape}; it must be {due}")
    if count > value.shape[1]:
        raise InputError(f"the edit at {name} added tokens, {value.shape[1]} became {count}; it may only drop some")
    return jnp.asarray(edited, value.dtype)


def listed(run: Callable[..., Any], *args: Any) -> dict[str, Site]:
    """Every tap with its site, in the order of `run(*args, taps)`, which is only traced."""
    taps = Taps(record=True)
    jax.eval_shape(lambda *args: run(*args, taps), *args)
    return dict(taps.sites)
