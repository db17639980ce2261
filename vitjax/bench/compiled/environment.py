"""Sets what the compilers of other chips read of the environment, before JAX is imported; imports nothing heavy."""

import os

# What the compilers read of the process's environment, when they are loaded.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",  # nothing is run there
    "TPU_SKIP_MDS_QUERY": "1",  # no machine of Google's is asked what it is
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",  # any does
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # several processes may compile
}


def prepare() -> None:
    """Sets what the compilers read of the environment, where the user has not; to be called before JAX is used."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
