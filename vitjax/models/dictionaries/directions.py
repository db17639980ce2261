"""Directions in the value of a tap as units of a model: class means, probes, components, clusters of its activations.

With v a direction, p its pattern and m a mean, a unit is z = (x - m) · v. An edit of z keeps all else: x becomes
x + (z' - z) p, where v · p = 1, so that the unit then is z'.
"""

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.network import LastLayer, Network
from vitjax.models.core.tap_site import PLACES, Site, unknown
from vitjax.models.dictionaries.dictionary import Fixed, Pass

END = "directions"  # of their tap's name
DIRECTION = "direction"  # the axis of their units


@dataclass(frozen=True)
class Along:
    """What a set of directions is besides its arrays.

    Attributes:
        tap: in whose value they are.
        units: the shape of the tap's index space.
        name: tells several sets in one tap apart: theirs is `TAP.directions@NAME`, or `TAP.directions`.
    """

    tap: str
    units: tuple[int, ...]
    name: str = ""


@dataclass(frozen=True)
class Made:
    """What a set of directions was made from.

    Attributes:
        source, sha256: its file.
        method: by which they were found.
        model, model_sha256: the model whose values they are in, and its weights.
        labels: what each direction is called, if anything: the class it is of.
    """

    source: str
    sha256: str
    method: str
    model: str = ""
    model_sha256: str = ""
    labels: tuple[str, ...] = ()


class Directions(nnx.Module):
    """Directions in a tap's value, a pytree; `model.with_dictionary(d)` makes them units of the tap `TAP.directions`.

    Attributes:
        form: where they are.
        arrays: "vectors" [direction, unit], what is read; "patterns" [direction, unit], what an edit adds; "mean"
            [unit], where a direction's value is 0. Units in the flattened index space of the tap.
        card: what they were made from; None if that is not known.
        prints: of each vector, see `fingerprint`.
        axis: what its units are.
    """

    axis = DIRECTION

    def __init__(
        self,
        form: Along,
        vectors: np.ndarray | Array,
        patterns: np.ndarray | Array | None = None,
        mean: np.ndarray | Array | None = None,
        card: Made | None = None,
    ):
        """Holds the arrays against the form; patterns are by default the directions themselves, the mean is 0.

        Raises:
            InputError: arrays of another shape, numbers that are not finite, a direction of zeros, or a pattern across
                its direction.
        """
        self.form, self.card = form, card
        held = {"vectors": np.asarray(vectors, np.float32)}
        shape, size = held["vectors"].shape, math.prod(form.units)
        if len(shape) != 2 or not shape[0] or shape[1] != size:
            raise InputError(f"the directions are {shape}, in {form.tap} they must be [direction, {size}]")
        held["patterns"] = held["vectors"] if patterns is None else np.asarray(patterns, np.float32)
        held["mean"] = np.zeros(size, np.float32) if mean is None else np.asarray(mean, np.float32)
        for name, due in (("patterns", shape), ("mean", shape[1:])):
            if held[name].shape != due:
                raise InputError(f"the directions' {name} are {held[name].shape} where the directions ask for {due}")
        if wrong := [name for name, array in held.items() if not np.isfinite(array).all()]:
            raise InputError(f"the directions' {wrong[0]} have numbers that are not finite")
        along = (held["vectors"].astype(np.float64) * held["patterns"]).sum(axis=1)
        if not along.all():
            number = int((along == 0).argmax())
            raise InputError(
                f"direction {number} is {'across its pattern' if held['vectors'][number].any() else 'zero'}"
            )
        held["patterns"] = (held["patterns"] / along[:, None]).astype(np.float32)
        self.prints = tuple(map(fingerprint, held["vectors"]))
        self.arrays = nnx.Dict({name: Fixed(jnp.asarray(array)) for name, array in held.items()})

    def __len__(self) -> int:
        return self.arrays["vectors"].shape[0]

    @property
    def taps(self) -> tuple[str]:
        """Its tap."""
        return (f"{self.form.tap}.{END}{self.form.name and f'@{self.form.name}'}",)

    def through(self, x: Float[Array, "image ..."], axes: tuple[str, ...], prefix: int, tap: Pass) -> Array:
        """The value of its tap after the edits of its units; see `Dictionary.through`."""
        count = sum(axis not in PLACES for axis in axes)
        flat = x.reshape(*x.shape[: x.ndim - count], -1)
        found = self._along(flat)
        new = tap(self.taps[0], found, None)
        if new is found:
            return x
        return x + jnp.matmul(new - found, self.arrays["patterns"][...]).astype(x.dtype).reshape(x.shape)

    def layer(self, site: Site) -> LastLayer | None:
        """The dense layer that gives its units, where its tap has tokens of one axis of units."""
        if site.axes != ("token", "channel"):
            return None
        vectors = self.arrays["vectors"][...]
        return LastLayer(self.form.tap, self._centred, vectors.T[:, None], jnp.zeros((1, len(vectors)), vectors.dtype))

    def check_fits(self, model: Network) -> None:
        """Raises an InputError if they are not of this model: of other weights, of a tap or a shape that it lacks."""
        sites, form = model.taps(), self.form
        source = f"{self.card.source}: " if self.card else ""
        known, ours = self.card.model_sha256 if self.card else "", getattr(model.card, "sha256", "")
        if known and ours and known != ours:
            raise InputError(
                f"{source}the directions were found in {self.card.model} (weights {known[:12]}), not in"
                f" {model.card.source} (weights {ours[:12]}): find them in this model"
            )
        if form.tap not in sites:
            raise InputError(f"{source}{unknown(form.tap, sites)}")
        if sites[form.tap].units != form.units:
            raise InputError(
                f"{source}the directions are in values of shape {form.units}, {form.tap} has {sites[form.tap].units}:"
                " are they of another model?"
            )

    def named(self, name: str) -> "Directions":
        """The same directions under another name."""
        held = (self.arrays[key][...] for key in ("vectors", "patterns", "mean"))
        return Directions(replace(self.form, name=name), *held, self.card)

    def described(self) -> dict[str, Any]:
        """What a record says of them: what they were made from, and 8 hexadecimal digits of each vector's sha256."""
        card = {name: value for name, value in asdict(self.card).items() if name != "labels"} if self.card else {}
        return {**card, "form": asdict(self.form) | {"units": list(self.form.units)}, "vectors": list(self.prints)}

    def _centred(self, x: Array) -> Array:
        return (x.astype(jnp.float32) - self.arrays["mean"][...]).astype(x.dtype)

    def _along(self, x: Array) -> Array:
        vectors = self.arrays["vectors"][...]
        return jnp.matmul(self._centred(x), vectors.T, preferred_element_type=jnp.float32).astype(x.dtype)


def fingerprint(vector: np.ndarray) -> str:
    """Eight hexadecimal digits of the sha256 of a vector, float32: tells directions of one name apart."""
    return hashlib.sha256(np.ascontiguousarray(vector, "<f4").tobytes()).hexdigest()[:8]
