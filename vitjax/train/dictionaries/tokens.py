"""Gives the tokens of images at a tap, and keeps many of them on the devices, from which batches are drawn."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site, unknown

KEPT = jnp.bfloat16  # of tokens that wait
Buffer = Float[Array, "place depth channel"]


def counted(model: Network, tap: str, where: str) -> int:
    """How many tokens an image has that a dictionary of this tap learns from.

    Raises:
        InputError: no such tap, one that has other units than channels, or no class token.
    """
    sites = model.taps()
    if tap not in sites:
        raise unknown(tap, sites)
    site = sites[tap]
    if site.axes[-1] != "channel" or len(site.units) != 1:
        raise InputError(f"{tap} has the axes {', '.join(site.axes)}: a dictionary takes channels alone apart")
    if where == "class" and "token" in site.axes and not site.class_token:
        raise InputError(f"there is no class token at {tap}: give other tokens, --where patches")
    one = jax.ShapeDtypeStruct((1, *site.shape), jnp.float32)
    count = jax.eval_shape(lambda x: taken(x, site, where), one).shape[0]
    if not count:
        raise InputError(f"{tap} has no {where}: give --where all")
    return count


def taken(value: Float[Array, "image *place channel"], site: Site, where: str) -> Float[Array, "token channel"]:
    """The tokens of a tap's value that are meant, those of an image one after another."""
    if "token" in site.axes:
        value = {"all": value, "patches": value[:, site.prefix :], "class": value[:, :1]}[where]
    return value.reshape(-1, value.shape[-1])


def read(
    model: Network, images: UInt8[Array, "image h w color"], tap: str, where: str
) -> Float[Array, "token channel"]:
    """The tokens of images at a tap, as they wait in the buffer."""
    value = model(images.astype(jnp.float32) / 255, [tap])[tap]
    return taken(value, model.taps()[tap], where).astype(KEPT)


def put(buffer: Buffer, fresh: Float[Array, "place channel"], depth: jax.Array, key: jax.Array) -> Buffer:
    """Fills one layer of the buffer with tokens in a random order."""
    return buffer.at[:, depth].set(jax.random.permutation(key, fresh))


def exchanged(buffer: Buffer, fresh: Float[Array, "place channel"], key: jax.Array) -> tuple[Buffer, Array]:
    """Draws a batch, one token of each place at a random depth, and puts fresh ones there in a random order.

    So each token is drawn once, and those of an image lie far apart. Devices share the buffer out by place.
    """
    of_depths, of_order = jax.random.split(key)
    places, depths = jnp.arange(len(buffer)), jax.random.randint(of_depths, (len(buffer),), 0, buffer.shape[1])
    drawn = buffer[places, depths]
    return buffer.at[places, depths].set(jax.random.permutation(of_order, fresh)), drawn
