"""The chips that programs are compiled for: what their compiler must know of them, and what they could do at most."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitjax.errors import InputError, nearest
from vitjax.files import read_bytes

TPU, CUDA = "tpu", "gpu"  # platforms, as JAX calls them
NATIVE = 8  # major compute capability of the first NVIDIA GPUs that multiply bfloat16, as in `vitjax.weights.dtypes`


@dataclass(frozen=True)
class Chip:
    """A chip, by its data sheet; numbers that nobody has said are 0.

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
        cores: of a TPU that work as one device.
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
    cores: int = 1

    def rate(self, dtype: str) -> float:
        """Operations a second of products of a type, as JAX or as XLA calls it."""
        return self.single if dtype in ("f32", "float32") else self.half

    @property
    def suited(self) -> str:
        """The dtype of pictures on it where nothing else is asked, as `vitjax.weights.dtypes` says."""
        major = re.search(r"\bmajor: (\d+)", self.target) if self.platform == CUDA else None
        return "float32" if major and int(major[1]) < NATIVE else "bfloat16"

    @property
    def said(self) -> str:
        """What is known of it, in words."""
        known = {
            f"{self.half / 1e12:g} TFLOP/s": self.half,
            f"{self.memory / 1e9:.3g} GB": self.memory,
            f"{self.bandwidth / 1e9:.4g} GB/s": self.bandwidth,
        }
        parts = [words for words, number in known.items() if number]
        if not self.half:
            parts.append("rate of products unknown: there is no share of it")
            parts.append("milliseconds at 1 GHz" if self.platform == TPU else "milliseconds leave products out")
        return ", ".join(parts)


def _tpu(
    name: str, topology: str, tera: float, gigabytes: float, gigabytes_a_second: float, hertz: float, cores: int = 1
) -> Chip:
    """A TPU, or one of its cores, where these are devices of their own.

    Its clock is the one at which as many products as its units take a cycle make the data sheet's rate.
    """
    lanes = cores * 8 * 128 * 4  # of vector units: sublanes, lanes, and how many operations these take a cycle
    rate, bandwidth = tera * 1e12, gigabytes_a_second * 1e9
    return Chip(name, TPU, topology, rate, rate, gigabytes * 1e9, bandwidth, lanes * hertz, hertz, cores)


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
        _tpu("v4", "v4:2x2x1", 137.5, 16, 614, 1.05e9),
        _tpu("v5e", "v5e:2x2", 197, 16, 819, 1.5e9),
        _tpu("v5p", "v5p:2x2x1", 459, 95, 2765, 1.75e9, cores=2),
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


_TOPOLOGY = re.compile(r"(\w+):\d+(x\d+)*")
_FACT = re.compile(r"\b(core_count|fpus_per_core|clock_rate_ghz|memory_bandwidth|device_memory_size): *([\d.e+]+)")
_CALLED = re.compile(r'device_description_str: *"([^"]*)"')


def chip(name: str) -> Chip:
    """Gives a chip by its name, the name of a TPU's topology, or the path of a GPU's `GpuTargetConfigProto` in text.

    Raises:
        InputError: it is none of these.
    """
    if name in CHIPS:
        return CHIPS[name]
    if found := _TOPOLOGY.fullmatch(name):
        known = CHIPS.get(found[1], Chip(name, TPU, name, 0, 0, 0, 0, 0, hertz=1e9))
        return replace(known, name=name, target=name)
    if Path(name).is_file():
        return _described(read_bytes(name).decode(errors="replace"))
    raise InputError(
        f"unknown chip {name!r}{nearest(name, CHIPS)}; there are {', '.join(CHIPS)}, topologies of TPUs such as v5e:2x4"
        " and files with XLA's GpuTargetConfigProto as text"
    )


def _described(text: str) -> Chip:
    """A GPU by the text that its compiler is told; its rates of products are known where the card is."""
    facts = {name: float(number) for name, number in _FACT.findall(text)}
    if missing := [name for name in ("core_count", "memory_bandwidth", "device_memory_size") if name not in facts]:
        raise InputError(f"no GpuTargetConfigProto in text: it says no {missing[0]}")
    called = _CALLED.search(text)
    alike = (one for one in CHIPS.values() if called and f'"{called[1]}"' in one.target)
    known = next(alike, None)
    vector = facts["core_count"] * facts.get("fpus_per_core", 0) * facts.get("clock_rate_ghz", 0) * 1e9
    half, single = (known.half, known.single) if known else (0.0, 0.0)
    memory, bandwidth = facts["device_memory_size"], facts["memory_bandwidth"]
    return Chip(called[1] if called else "GPU", CUDA, text, half, single, memory, bandwidth, vector)
