"""Sets what the compilers of other chips read of the environment, before JAX is imported; imports nothing heavy."""

import atexit
import os
import shutil
import tempfile

# What the compilers read of the process's environment, when they are loaded.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",  # nothing is run there
    "TPU_SKIP_MDS_QUERY": "1",  # no machine of Google's is asked what it is
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",  # any does
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # several processes may compile
}


# Has a TPU's compiler say how each kernel is scheduled, in a folder whose name follows.
DUMP = "--xla_jf_dump_llo_text=true --xla_jf_dump_llo_pass_label_regex=final_bundles --xla_jf_dump_hlo_text=false"
DUMP += " --xla_jf_dump_to="


def prepare() -> None:
    """Sets what the compilers read of the environment, where the user has not; to be called before JAX is used."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if dumped() is None:
        folder = tempfile.mkdtemp(prefix="vitjax-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["LIBTPU_INIT_ARGS"] = f"{os.environ.get('LIBTPU_INIT_ARGS', '')} {DUMP}{folder}".strip()


def dumped() -> str | None:
    """The folder that a TPU's compiler writes schedules to; None before it is asked to."""
    _, asked, folder = os.environ.get("LIBTPU_INIT_ARGS", "").partition(DUMP)
    return folder if asked else None
