"""Says what a command runs on, and how: cores as devices, programs that are kept, and several hosts that run the same.

Which flags say that there are several, and one line where the first is not there.
"""

import argparse
import re
import socket
import time
from contextlib import suppress

from vitjax.cli.arguments import count
from vitjax.errors import InputError

ADDRESS = re.compile(r"(.+):(\d{1,5})")  # a host, and a port
PATIENCE = 300  # seconds that the others wait for the first, as JAX does


def add(command: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    group = command.add_argument_group("several hosts, each of which runs the same command")
    group.add_argument("--coordinator", metavar="HOST:PORT", help="of the first; clusters that JAX knows need no more")
    group.add_argument("--hosts", type=count, metavar="N", help="how many there are")
    group.add_argument("--host", type=int, metavar="I", help="which this one is, counted from 0")


def check(args: argparse.Namespace) -> None:
    """Checks the flags, before JAX is imported.

    Raises:
        InputError: one without the others, or what cannot be.
    """
    together = (args.coordinator, args.hosts, args.host)
    if any(one is not None for one in together) and None in together:
        raise InputError("--coordinator, --hosts and --host go together")
    if args.coordinator and not ADDRESS.fullmatch(args.coordinator):
        raise InputError(f"--coordinator {args.coordinator!r} is not HOST:PORT")
    if args.coordinator and not 0 <= args.host < args.hosts:
        raise InputError(f"--host {args.host} of {args.hosts}: hosts are counted from 0 to {args.hosts - 1}")


def join(args: argparse.Namespace) -> None:
    """Joins the hosts, if there are several; the first waits for the others, and they for it.

    Raises:
        InputError: nobody listens at the coordinator's address: JAX would end the process in the midst of its own
            report.
    """
    if not args.coordinator:
        return
    if args.host:
        _wait(args.coordinator)
    import jax

    jax.distributed.initialize(args.coordinator, num_processes=args.hosts, process_id=args.host)


def _wait(coordinator: str) -> None:
    name, port = ADDRESS.fullmatch(coordinator).groups()
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((name.strip("[]"), int(port)), timeout=max(1, PATIENCE / 10)).close()
            return
        except (OSError, OverflowError) as error:
            if time.monotonic() > until or isinstance(error, socket.gaierror | OverflowError):
                raise InputError(
                    f"no answer from --coordinator {coordinator} ({error}): does host 0 run there, and may others reach"
                    " that port?"
                ) from None
        time.sleep(min(1, PATIENCE / 10))


CORES = 8  # CPU devices at most: each has the whole model


def use_cores() -> None:
    """Makes every core of a CPU a device of its own, which the loop's workers use better than one device all cores.

    To be called before JAX is used; without effect where there is an accelerator or the user has set the number.
    """
    import os

    import jax

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jax.config.jax_num_cpu_devices < 1:
        with suppress(RuntimeError):  # JAX is in use already, as in a notebook
            jax.config.update("jax_num_cpu_devices", min(cores, CORES))


COMPILED = 2**30  # bytes of compiled programs that are kept


def keep_compiled() -> None:
    """Keeps compiled programs in vitjax's cache: a run that goes on compiles nothing anew, and on a GPU, where the
    compiler tries several kernels and takes the fastest, it goes on with the same ones.

    To be called before JAX compiles; without effect where the user has named a folder.
    """
    import jax

    from vitjax.weights.cache import root

    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(root() / "compiled"))
        jax.config.update("jax_compilation_cache_max_size", COMPILED)


def execution_arguments(group: argparse._ArgumentGroup) -> None:
    """Adds the arguments that say how the model runs while it paints, which does not change what it computes."""
    group.add_argument("--remat", action="store_true", help="recompute activations to save memory")
    group.add_argument(
        "--no-scan",
        action="store_true",
        help="unroll all blocks: on TPUs a step of deep blocks is about a sixth faster, and takes minutes to compile,"
        " which pays for thousands of pictures of a tap",
    )


def execution(args: argparse.Namespace):
    """How the model is to run, as `execution_arguments` were given."""
    from vitjax.models.core.execution import Execution

    return Execution(remat=args.remat, scan=not args.no_scan)
