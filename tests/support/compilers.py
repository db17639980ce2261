"""Compilers for chips that are not here."""

import importlib.util
from functools import cache

import jax
import pytest
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

H100 = """gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128 block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84942979072 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 } registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 patch: 0 } device_description_str: "NVIDIA H100 80GB HBM3"
"""


@cache
def h100() -> Sharding:
    """A place on an H100 that is not here; a skip without the compiler."""
    if importlib.util.find_spec("jax_cuda12_plugin") is None:
        pytest.skip("no compiler for NVIDIA GPUs: pip install 'jax[cuda12]'")
    jax.devices()  # has the plugin registered, which complains that there is no GPU and goes on
    topology = topologies.get_topology_desc(platform="cuda", topology="1x1x1", target_config=H100)
    return NamedSharding(Mesh(topology.devices[:1], ("x",)), PartitionSpec())
