"""Measures what a device can do: the rates of a plain matrix product and of a copy, which bound every loop on it."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import version

import jax
import jax.numpy as jnp

from vitjax import __version__
from vitjax.models.core.surroundings import key


def matmul_rate(dtype: str) -> float:
    """Measures operations per second of a large square matrix product on the default device, the best of several."""
    side = 1024 if jax.default_backend() == "cpu" else 8192
    a = jax.random.normal(key(0), (side, side), jnp.float32).astype(dtype)
    product = jax.jit(lambda a: a @ a)
    jax.block_until_ready(product(a))
    return 2 * side**3 / fastest(lambda: jax.block_until_ready(product(a)), repeats=10)


def copy_rate() -> float:
    """Measures bytes per second, read and written, of adding one to a large array on the default device."""
    size = 2**24 if jax.default_backend() == "cpu" else 2**28
    a = jnp.zeros(size, jnp.float32)
    add = jax.jit(lambda a: a + 1)
    jax.block_until_ready(add(a))
    return 2 * a.nbytes / fastest(lambda: jax.block_until_ready(add(a)), repeats=10)


def fastest(call: Callable[[], object], repeats: int) -> float:
    """Times `call` several times; gives the shortest, in seconds."""
    times = []
    for _ in range(repeats):
        clock = time.perf_counter()
        call()
        times.append(time.perf_counter() - clock)
    return min(times)


def machine() -> dict[str, str | int]:
    """Says what a measurement depends on: device, its number, versions."""
    device = jax.devices()[0]
    packages = {name: version(name) for name in ("jax", "flax", "optax")}
    return {
        "device": device.device_kind,
        "platform": device.platform,
        "devices": jax.local_device_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "vitjax": __version__,
        **packages,
    }
