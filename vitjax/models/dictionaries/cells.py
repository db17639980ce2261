"""Cells of an activation atlas: directions of a tap's value, of which length and angle count, as a tap of their own."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site, unknown
from vitjax.models.dictionaries.dictionary import Fixed

CELLS = "cells"  # how their tap ends
FLOOR = 0.1  # of the cosine whose power is taken (Lucid, `_dot_cossim`)
TINY = 1e-24  # added to the square of a length that is divided by


@dataclass(frozen=True)
class Angles:
    """What cells are besides their directions.

    Attributes:
        tap: whose value they are directions of, e.g. "blocks.8.resid_post".
        power: of the cosine.
    """

    tap: str
    power: float = 2.0


class Cells(nnx.Module):
    """Directions as units of a model, to which `model.with_dictionary` adds them: `blocks.8.resid_post.cells:17`.

    Of a token h and a direction v the value is the dot product times max(0.1, cosine)^power, as of `CosinePower`, the
    goal of one direction. So whatever takes units takes cells: pictures, exemplars, report cards, atlases. They are
    read, never edited.

    Attributes:
        form: what they are.
        directions: [channel, cell].
        card: what a record says of where they came from, a frozen dataclass; may be None.
        axis: what its units are.
    """

    axis = "latent"

    def __init__(self, form: Angles, directions: Float[np.ndarray, "channel cell"] | Array, card: Any = None):
        """Holds the directions; raises an InputError where they are none: of another shape, not finite, zeros alone."""
        if directions.ndim != 2 or not directions.shape[1]:
            raise InputError(f"directions of cells are [channel, cell], not {directions.shape}")
        if not np.isfinite(values := np.asarray(directions, np.float32)).all() or not values.any(axis=0).all():
            raise InputError("a direction of a cell has only zeros, or numbers that are not finite")
        self.form, self.card = form, card
        self.directions = Fixed(jnp.asarray(directions))

    @property
    def taps(self) -> tuple[str, str]:
        """Its tap, twice: there is no activation function before which the cells would be others."""
        return (f"{self.form.tap}.{CELLS}",) * 2

    def through(
        self,
        x: Float[Array, "image *place channel"],
        axes: tuple[str, ...],
        prefix: int,
        tap: Callable[[str, Array, None], Array],
    ) -> Array:
        """The value of the tap that they are of, unchanged; what they say of it goes through theirs."""
        found = self.measured(x)
        if tap(self.taps[0], found, None) is not found:
            raise InputError(f"{self.taps[0]} is read, never edited: edit {self.form.tap}")
        return x

    def measured(self, x: Float[Array, "*place channel"]) -> Float[Array, "*place cell"]:
        """What each cell is on tokens, in float32."""
        wide, directions = x.astype(jnp.float32), self.directions[...].astype(jnp.float32)
        along = jnp.matmul(x, self.directions[...].astype(x.dtype), preferred_element_type=jnp.float32)
        lengths = jnp.sum(wide * wide, axis=-1, keepdims=True) * jnp.sum(directions * directions, axis=0)
        cosine = along / jnp.sqrt(lengths + TINY)
        return along * jnp.maximum(FLOOR, cosine) ** self.form.power

    def layer(self, site: Site) -> None:
        """None: no column of a layer tells the length of a token."""

    def check_fits(self, model: Network) -> None:
        """Raises an InputError if a model has no tap that they could be of."""
        sites = model.taps()
        if (tap := self.form.tap) not in sites:
            raise unknown(tap, sites)
        site, channels = sites[tap], self.directions.shape[0]
        if site.axes[-1] != "channel" or len(site.units) != 1:
            raise InputError(f"{tap} has the axes {', '.join(site.axes)}: cells are of channels alone")
        if site.shape[-1] != channels:
            raise InputError(f"the cells are of {channels} channels, {tap} has {site.shape[-1]}: of another model?")

    def described(self) -> dict[str, Any]:
        """What a record says of them: a digest of the directions, how they were found, and their form."""
        digest = hashlib.sha256(np.asarray(self.directions[...], np.float32).tobytes()).hexdigest()
        return {"sha256_of_directions": digest, **({} if self.card is None else asdict(self.card)), **asdict(self.form)}
