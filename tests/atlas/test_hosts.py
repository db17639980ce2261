"""An atlas is made by two hosts that share its store, and in a store that is no folder."""

import socket
import subprocess

import pytest

from tests.support.atlas_job import ended, job, pictures
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.page.reader import contents
from vitjax.atlas.records.verify import faults
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError


@pytest.mark.exhaustive
def test_two_hosts_share_the_plan_and_the_store(processes, whole, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    hosts = [
        processes(tmp_path / "store", "--shard", str(i), "2", "--coordinator", coordinator, devices=1 + i)
        for i in range(2)
    ]
    lines = {ended(host) for host in hosts}
    assert lines <= {(0, "FINISHED"), (0, "WAITING")} and (0, "FINISHED") in lines
    store = Store(str(tmp_path / "store"))
    assert pictures(store) == pictures(whole)
    records = [store.read_json(key) for key in store.keys("batches/seed-0/")]
    units = [unit for record in records for unit in record["units"]]
    assert len(units) == len(set(units)) == 10
    logs = [store.read_json(key) for key in store.keys("logs/")]
    assert {tuple(log["shard"]) for log in logs} == {(0, 2), (1, 2)} and {log["devices"] for log in logs} == {1, 2}
    assert all({"photographs", "painting, seed 0"} <= log["stages"].keys() for log in logs)
    assert all(sum(log["stages"].values()) == pytest.approx(log["wall"]) for log in logs)


@pytest.mark.exhaustive
def test_a_store_on_s3(monkeypatch):
    server = pytest.importorskip("moto.server", reason="moto, the stand-in for S3, is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    standing = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    standing.start()
    try:
        host, port = standing.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        subprocess.run(["curl", "-sfX", "PUT", f"http://{host}:{port}/bucket"], check=True)
        store = Store("s3://bucket/atlases/one")
        assert work(job(units="blocks.0.mlp.hidden:0-2"), store) is Status.FINISHED
        assert all(fault is None for fault in faults(store)) and not store.keys("claims/")
        assert len(contents(store).pictures(1)) >= 1 and store.keys("natural/")
        with pytest.raises(InputError, match="NoSuchBucket"):
            work(job(), Store("s3://nowhere/one"))
    finally:
        standing.stop()
