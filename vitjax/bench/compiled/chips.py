"""The chips that programs are compiled for: what their compiler must know of them, and what they could do at most."""

from dataclasses import dataclass
from typing import Any

from vitjax.errors import InputError, nearest

TPU, CUDA = "tpu", "gpu"  # platforms, as JAX calls them


@dataclass(frozen=True)
class Chip:
    """A chip, by its data sheet.

    Attributes:
        name: e.g. "v5e".
        platform: "tpu" or "gpu".
        target: what its compiler is told: of a TPU the name of a topology with such chips, of a GPU the text of XLA's
            `GpuTargetConfigProto`.
        half, single: operations a second of products of bfloat16, and of float32 as JAX computes them by default: on
            TPUs in one pass of bfloat16, on NVIDIA's GPUs as TF32.
        memory: bytes.
        bandwidth: of it, bytes a second.
        vector: operations a second that are no products, in float32.
        hertz: clock, which makes seconds of a TPU compiler's cycles; 0 where nothing counts them.
    """

    name: str
    platform: str
    target: str
    half: float
    single: float
    memory: float
    bandwidth: float
    vector: float
    hertz: float = 0.0

    def rate(self, dtype: str) -> float:
        """Operations a second of products of a type, as JAX or as XLA calls it."""
        return self.single if dtype in ("f32", "float32") else self.half


def _tpu(name: str, topology: str, tera: float, gigabytes: float, gigabytes_a_second: float, hertz: float) -> Chip:
    """A TPU: both cores of it, where it has two.

    Its clock is the one at which as many products as its units take a cycle make the data sheet's rate.
    """
    lanes = 8 * 128 * 4  # of the vector unit: sublanes, lanes, and how many operations these take a cycle
    rate = tera * 1e12
    return Chip(name, TPU, topology, rate, rate, gigabytes * 1e9, gigabytes_a_second * 1e9, lanes * hertz, hertz)


def _nvidia(name: str, called: str, tera: tuple[float, float], capability: int, **facts: Any) -> Chip:
    """An NVIDIA GPU of a major compute capability; `facts` are of its `gpu_device_info`, beside those that all have."""
    info = ALL_NVIDIA | facts
    fields = " ".join(f"{key}: {value}" for key, value in info.items())
    target = f"gpu_device_info {{ {fields} cuda_compute_capability {{ major: {capability} }} }}"
    target += ' platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 patch: 0 }'
    target += f' device_description_str: "{called}"'
    half, single = (rate * 1e12 for rate in tera)
    vector = info["core_count"] * info["fpus_per_core"] * info["clock_rate_ghz"] * 1e9
    return Chip(name, CUDA, target, half, single, info["device_memory_size"], info["memory_bandwidth"], vector)


ALL_NVIDIA = {
    "threads_per_block_limit": 1024,
    "threads_per_warp": 32,
    "shared_memory_per_block": 49152,
    "threads_per_core_limit": 2048,
    "block_dim_limit_x": 2**31 - 1,
    "block_dim_limit_y": 65535,
    "block_dim_limit_z": 65535,
    "registers_per_core_limit": 65536,
    "registers_per_block_limit": 65536,
}
HOPPER = {
    "core_count": 132,
    "fpus_per_core": 128,
    "clock_rate_ghz": 1.98,
    "shared_memory_per_core": 233472,
    "shared_memory_per_block_optin": 232448,
    "l2_cache_size": 52428800,
}
AMPERE = {
    "core_count": 108,
    "fpus_per_core": 64,
    "clock_rate_ghz": 1.41,
    "shared_memory_per_core": 167936,
    "shared_memory_per_block_optin": 166912,
    "l2_cache_size": 41943040,
}
HOPPER_TERA, AMPERE_TERA = (989, 494.5), (312, 156)  # of bfloat16 and TF32, dense

CHIPS = {
    chip.name: chip
    for chip in (
        _tpu("v5e", "v5e:2x2", 197, 16, 819, 1.5e9),
        _tpu("v5p", "v5p:2x2x1", 459, 95, 2765, 1.75e9),
        _tpu("v6e", "v6e:2x2", 918, 32, 1640, 1.75e9),
        _nvidia(
            "a100",
            "NVIDIA A100-SXM4-80GB",
            AMPERE_TERA,
            8,
            **AMPERE,
            memory_bandwidth=2039040000000,
            device_memory_size=85100068864,
        ),
        _nvidia(
            "h100",
            "NVIDIA H100 80GB HBM3",
            HOPPER_TERA,
            9,
            **HOPPER,
            memory_bandwidth=3352320000000,
            device_memory_size=84942979072,
        ),
        _nvidia(
            "h200",
            "NVIDIA H200 141GB HBM3e",
            HOPPER_TERA,
            9,
            **HOPPER,
            memory_bandwidth=4800000000000,
            device_memory_size=151397597184,
        ),
    )
}


def chip(name: str) -> Chip:
    """Gives a chip by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in CHIPS:
        raise InputError(f"unknown chip {name!r}{nearest(name, CHIPS)}; there are {', '.join(CHIPS)}")
    return CHIPS[name]
