"""Dictionaries of features: sparse autoencoders that take the value of a tap apart into latents, and put it together.

With x the value of a token, N a norm and D the decoder, one row for each latent: u = N(x) - pre_bias,
pre = u @ encoder + encoder_bias, z = act(pre), and x is about N^-1(z @ D + decoder_bias). Latents are edited with the
error kept: x becomes x + N^-1's linear part of (z' - z) @ D, so that what the dictionary does not explain stays.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import LastLayer, Site, unknown
from vitjax.models.dictionaries.form import ACTIVATIONS, NORMS, SIDES, Form, Scaling, checked

SAE, PRE = "sae", "sae_pre"  # how the taps of latents end, after and before the activation function
Pass = Callable[[str, Array, str | None], Array]  # takes latents through a tap, that of the same ones before


class Fixed(nnx.Variable):
    """An array of a dictionary, which is no parameter of the model."""


class Dictionary(nnx.Module):
    """A dictionary of features, a pytree; `model.with_dictionary(d)` makes its latents taps of a model.

    Attributes:
        form: what it is.
        arrays: {name: array}, see `SIDES`; biases that are not given are 0.
        card: where it came from, a frozen dataclass with its source and sha256; set by `vitjax.weights.dictionaries`.
        axis: what its units are.
    """

    axis = "latent"

    def __init__(self, form: Form, arrays: Mapping[str, np.ndarray | Array], card: Any = None):
        """Holds the arrays against the form.

        Raises:
            InputError: an unknown activation, norm or kind of tokens; arrays that are missing, unknown, of other
                shapes, or not finite.
        """
        self.form = form
        self.card = card
        held = checked(form, arrays)
        self.arrays = nnx.Dict({name: Fixed(jnp.asarray(array)) for name, array in held.items()})

    @property
    def taps(self) -> tuple[str, str]:
        """Its taps: of the latents before and after the activation function."""
        end = self.form.name and f"@{self.form.name}"
        return f"{self.form.tap}.{PRE}{end}", f"{self.form.tap}.{SAE}{end}"

    @property
    def width(self) -> int:
        """How many latents it has."""
        return self.arrays["decoder"].shape[0]

    @property
    def channels(self) -> int:
        """How many channels its tap has."""
        return self.arrays["decoder"].shape[1]

    def centred(self, x: Float[Array, "*place channel"]) -> Float[Array, "*place channel"]:
        """What the encoder multiplies: N(x) - pre_bias."""
        wide = x.astype(jnp.float32)
        shift, into, _ = self._scaling(wide)
        return ((wide - shift) / into - self.arrays["pre_bias"][...]).astype(x.dtype)

    def encode(self, x: Float[Array, "*place channel"]) -> Float[Array, "*place latent"]:
        """The latents before the activation function."""
        pre = jnp.matmul(self.centred(x), self.arrays["encoder"][...], preferred_element_type=jnp.float32)
        return (pre + self.arrays["encoder_bias"][...]).astype(x.dtype)

    def some(self, u: Float[Array, "*place channel"], first: Array, size: int) -> Float[Array, "*place latent"]:
        """`size` latents from the `first` on, before the activation function, of what `centred` gives."""
        held = self._part(first, size)
        pre = jnp.matmul(u, held["encoder"], preferred_element_type=jnp.float32)
        return (pre + held["encoder_bias"]).astype(u.dtype)

    def activated(self, pre: Float[Array, "*place latent"], first: Array, size: int) -> Float[Array, "*place latent"]:
        """These latents, where none depends on another."""
        return ACTIVATIONS[self.form.activation](pre, self.form, self._part(first, size))

    def activate(self, pre: Float[Array, "*place latent"]) -> Float[Array, "*place latent"]:
        """The latents."""
        return ACTIVATIONS[self.form.activation](pre, self.form, self._held)

    def decode(self, latents: Float[Array, "*place latent"], x: Float[Array, "*place channel"]) -> Array:
        """The tokens that latents stand for, with the mean and length that the norm took of x."""
        shift, _, back = self._scaling(x.astype(jnp.float32))
        return ((self._summed(latents) + self.arrays["decoder_bias"][...]) * back + shift).astype(x.dtype)

    def change(self, x: Float[Array, "*place channel"], latents: Float[Array, "*place latent"]) -> Array:
        """What is added to x where so much is added to its latents; the error of the dictionary stays."""
        return (self._summed(latents) * self._scaling(x.astype(jnp.float32)).back).astype(x.dtype)

    def through(self, x: Float[Array, "image *place channel"], axes: tuple[str, ...], prefix: int, tap: Pass) -> Array:
        """The value of its tap after the edits of its latents.

        Args:
            x: the value.
            axes: of it, without that of images.
            prefix: how many of its tokens come before the patches, the class token first.
            tap: takes the latents before and after the activation function through their taps.
        """
        where = self.meant(axes, prefix, x.shape[1])
        masked = lambda latents: latents if where is None else jnp.where(where[:, None], latents, 0)
        before, after = self.taps
        found = self.encode(x)
        latents = masked(self.activate(found))
        pre = tap(before, found, None)
        new = tap(after, latents if pre is found else masked(self.activate(pre)), before)
        return x if new is latents else x + self.change(x, masked(new - latents))

    def meant(self, axes: tuple[str, ...], prefix: int, tokens: int) -> Bool[np.ndarray, " token"] | None:
        """Which tokens it is for; None for all of them.

        Args:
            axes: of its tap's value, without that of images.
            prefix: how many tokens come before the patches.
            tokens: how many there are.
        """
        if "token" not in axes or self.form.tokens == "all":
            return None
        number = np.arange(tokens)
        return number >= prefix if self.form.tokens == "patches" else number == 0

    def layer(self, site: Site) -> LastLayer | None:
        """The dense layer that gives its latents before the activation function, where its tap has tokens."""
        encoder, bias = self.arrays["encoder"][...], self.arrays["encoder_bias"][...]
        tokens = site.axes == ("token", "channel")
        return LastLayer(self.form.tap, self.centred, encoder[:, None], bias[None]) if tokens else None

    def check_fits(self, model: Network) -> None:
        """Raises an InputError if a model has no tap that it could take apart."""
        tap, sites = self.form.tap, model.taps()
        if tap not in sites:
            raise unknown(tap, sites)
        site = sites[tap]
        if site.axes[-1] != "channel" or len(site.units) != 1:
            raise InputError(f"{tap} has the axes {', '.join(site.axes)}: a dictionary takes channels alone apart")
        if site.shape[-1] != self.channels:
            alike = [name for name, one in sites.items() if one.axes == site.axes and one.shape[-1] == self.channels]
            hint = f"; {alike[0]} has as many" if alike else ": is it of another model?"
            raise InputError(f"the dictionary takes {self.channels} channels apart, {tap} has {site.shape[-1]}{hint}")
        if self.form.tokens == "class" and "token" in site.axes and not site.class_token:
            raise InputError(f"the dictionary is of the class token, and there is none at {tap}")

    def of(self, **changes: Any) -> Self:
        """The same dictionary with another form, e.g. `of(tap="blocks.3.resid_post")`."""
        return type(self)(replace(self.form, **changes), self._held, self.card)

    def described(self) -> dict[str, Any]:
        """What a record says of it: where it came from, else a digest of its arrays, and its form."""
        if self.card is not None:
            return {**asdict(self.card), "form": asdict(self.form)}
        arrays = b"".join(np.asarray(array, np.float32).tobytes() for _, array in sorted(self._held.items()))
        return {"sha256_of_arrays": hashlib.sha256(arrays).hexdigest(), "form": asdict(self.form)}

    @property
    def _held(self) -> dict[str, Array]:
        return {name: variable[...] for name, variable in self.arrays.items()}

    def _part(self, first: Array, size: int) -> dict[str, Array]:
        """The arrays of `size` latents from the `first` on."""
        cut = lambda array, axis: lax.dynamic_slice_in_dim(array, first, size, axis)
        sides = {name: SIDES[name] for name in self.arrays}
        return {name: cut(array, sides[name].index("m")) for name, array in self._held.items() if "m" in sides[name]}

    def _scaling(self, x: Array) -> Scaling:
        return NORMS[self.form.norm](x, self.form, self._held)

    def _summed(self, latents: Array) -> Array:
        return jnp.matmul(latents, self.arrays["decoder"][...], preferred_element_type=jnp.float32)
