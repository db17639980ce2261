"""An atlas is gone on with after every kind of end of its process, and made by one process at a time."""

import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.support.atlas_job import PLAIN, ended, job, pictures
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.records import finished
from vitjax.atlas.records.verify import faults
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError


@pytest.fixture(scope="module")
def at_work(processes, tmp_path_factory) -> Callable[[], tuple[subprocess.Popen, Store]]:
    """A function () -> a process that waits after a batch, and its store; the same one as long as it lives."""
    running: list[tuple[subprocess.Popen, Store]] = []

    def begin() -> tuple[subprocess.Popen, Store]:
        if not running or running[-1][0].poll() is not None:
            store = Store(str(tmp_path_factory.mktemp("store")))
            running.append((processes(store.address, PLAIN, "--slow"), store))
            assert running[-1][0].stdout.readline() == "batch\n"
        return running[-1]

    return begin


@pytest.mark.representatives("before a record")
@pytest.mark.parametrize(
    ("what", "times"), [("pictures", 2), ("record", 2)], ids=["before a record", "between batches"]
)
def test_a_job_killed_while_painting_goes_on_and_gives_the_same(processes, plain, tmp_path, what, times):
    store = Store(str(tmp_path / "killed"))
    assert ended(processes(store.address, PLAIN, "--die", what, str(times)))[0] == -signal.SIGKILL
    there = {key: store.read(key) for key in store.keys("batches/")}
    assert len(there) == {"pictures": 1, "record": 1}[what]
    assert work(job(photographs=False), store) is Status.FINISHED
    assert all(store.read(key) == record for key, record in there.items()) and pictures(store) == pictures(plain)


@pytest.mark.exhaustive
def test_a_job_killed_while_grading_goes_on_and_gives_the_same(processes, whole, tmp_path):
    store = Store(str(tmp_path / "killed"))
    assert ended(processes(store.address, "--die", "card", "4"))[0] == -signal.SIGKILL
    assert len(store.keys("cards/")) == 4 and not store.read(finished.KEY)
    assert work(job(), store) is Status.FINISHED and pictures(store) == pictures(whole)
    for name in ("units", "exemplars", "near"):
        assert store.read(f"tables/{name}.parquet") == whole.read(f"tables/{name}.parquet"), name


def test_two_processes_on_one_store_by_mistake(at_work):
    _, store = at_work()
    with pytest.raises(InputError, match=r"another process is at work on this atlas .*--shard"):
        work(job(photographs=False), store)


def test_sigterm_finishes_the_batch_and_says_so(plain, at_work):
    process, store = at_work()
    process.send_signal(signal.SIGTERM)
    process.stdin.write("\n" * 20)
    process.stdin.flush()
    assert ended(process) == (75, "STOPPED")
    done = len(store.keys("batches/"))
    assert 1 <= done < 6 and all(fault is None or fault.what == "missing" for fault in faults(store))
    assert work(job(photographs=False), store) is Status.FINISHED and pictures(store) == pictures(plain)
