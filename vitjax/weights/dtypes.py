"""Says of which type a model's weights and activations are: by its name, or by the devices that it runs on."""

import jax
import jax.numpy as jnp

from vitjax.errors import InputError, nearest
from vitjax.models.kernels.cudnn import capability

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
AUTO = "auto"
NATIVE = 8.0  # compute capability of the first NVIDIA GPUs that multiply bfloat16 (A100)


def named(dtype: str, device: jax.Device) -> str:
    """Gives a dtype's name; of "auto" the one that suits a device.

    Raises:
        InputError: another name.
    """
    if str(dtype) not in (*DTYPES, AUTO):
        raise InputError(f"unknown dtype {dtype!r}{nearest(str(dtype), DTYPES)}; give {', '.join(DTYPES)} or {AUTO}")
    return suited(device) if dtype == AUTO else str(dtype)


def suited(device: jax.Device) -> str:
    """The dtype in which pictures are painted on a device: "bfloat16" where it multiplies that faster, else "float32".

    That is on TPUs and NVIDIA's GPUs since A100. Pictures, the optimizer and the statistics of norms are float32 either
    way; experiments/recipes/precision.py compares what comes of both.
    """
    half = device.platform == "tpu" or (device.platform == "gpu" and capability(device) >= NATIVE)
    return "bfloat16" if half else "float32"
