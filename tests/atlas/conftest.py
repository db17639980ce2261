"""What tests of the atlas share: two atlases made in one go, jobs in processes of their own, small disks."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.conftest import ROOT
from tests.support.page import address, browser, hosted, sites, visit

__all__ = ["address", "browser", "hosted", "sites", "visit"]  # fixtures of the page in a browser


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made(folder: Path, photographs: bool):
    """The store of an atlas made in one go, by whichever worker comes first."""
    from tests.support.atlas_job import job
    from vitjax.atlas.job.work import Status, work
    from vitjax.atlas.store.store import Store

    store = Store(str(folder))
    with FileLock(f"{folder}.lock"):
        assert work(job(photographs), store) is Status.FINISHED
    return store


@pytest.fixture(scope="module")
def whole(shared):
    """An atlas that was made in one go; to be read, or copied."""
    return made(shared / "whole", photographs=True)


@pytest.fixture(scope="module")
def plain(shared):
    """One without photographs; to be read, or copied."""
    return made(shared / "plain", photographs=False)


@pytest.fixture(scope="module")
def processes() -> Iterator[Callable[..., subprocess.Popen]]:
    """A function (store, *arguments, devices=1) -> the job in a process of its own, which ends with the module."""
    begun: list[subprocess.Popen] = []

    def begin(store: Path | str, *arguments: str, devices: int = 1) -> subprocess.Popen:
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
        command = [sys.executable, "-W", "error", "-m", "tests.support.atlas_job", str(store), *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()  # no more than a word to one that has ended
        process.communicate()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Callable[[str], Path]]:
    """A function (options) -> folder on a file system of its own, which can be made larger or read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    while os.path.ismount(folder):
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """A made-up atlas, exported; to be read."""
    from tests.support.made_up import made_up
    from vitjax.atlas.page.export import export

    folder = tmp_path_factory.mktemp("export") / "site"
    export(made_up(), folder)
    return folder
