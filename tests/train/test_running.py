"""A training is gone on with after every kind of end, on one device to the byte, and several hosts train as one."""

import json
import os
import shutil
import signal
import socket
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import PATIENCE
from tests.support import noise
from tests.support.forks import Fork
from tests.support.training import CONFIG, RUNNING, SETTINGS, training, weights
from vitjax.errors import AGAIN, InputError
from vitjax.train.kept.checkpoints import FOLDER, Checkpoints
from vitjax.train.kept.curve import CURVE
from vitjax.train.kept.identity import agree, alone
from vitjax.train.run import run
from vitjax.weights.parameters import build, values


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted; to be read, or copied."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert run(training(), out, RUNNING) == 0
    return out


@pytest.fixture(scope="session")
def begun(forks):
    """A function (out, *arguments, devices=1) -> a training that runs in a process of its own."""

    def begin(out, *arguments: str, devices: int = 1) -> Fork:
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
        return forks.begin(["-m", "tests.support.training", str(out), *arguments], environment)

    return begin


def same(out, whole) -> bool:
    ours, theirs = weights(out), weights(whole)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def nearly(out, whole) -> None:
    """Within rounding."""
    ours, theirs = weights(out), weights(whole)
    for name in theirs:
        # No score depends on the biases of k: AdamW makes whole steps of rounding.
        known = slice(None) if name != "blocks.attn.qkv.bias" else np.s_[:, ::2]
        np.testing.assert_allclose(ours[name][known], theirs[name][known], atol=2e-5, err_msg=name)


def losses(out) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in map(json.loads, (out / CURVE).read_text().splitlines())]


def test_killed_and_gone_on_with_it_is_the_same_to_the_byte(whole, begun, tmp_path):
    code, *said = begun(out := tmp_path / "killed", "--die", "4").ended(PATIENCE)
    assert code == -signal.SIGKILL, said
    assert run(training(), out, RUNNING) == 0
    assert same(out, whole) and losses(out) == losses(whole)


@pytest.mark.exhaustive
def test_two_hosts_with_split_weights_train_as_one(whole, begun, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    out = tmp_path / "hosts"
    hosts = [begun(out, "--host", str(i), "2", "--coordinator", coordinator) for i in range(2)]
    codes, *said = zip(*(host.ended(PATIENCE) for host in hosts), strict=True)
    assert codes == (0, 0), said
    nearly(out, whole)
    assert [step for step, _ in losses(out)] == [1, 2, 3, 4, 5, 6]


def test_two_devices_of_a_process_train_as_one_stopped_or_not(whole, begun, tmp_path):
    code, *said = begun(out := tmp_path / "devices", "--stop", "2", devices=2).ended(PATIENCE)
    assert code == 0 and "run the same command again" in "".join(said), said
    nearly(out, whole)
    assert [step for step, _ in losses(out)] == [1, 2, 3, 4, 5, 6]


def test_sigterm_saves_and_says_so(whole, tmp_path, monkeypatch, capfd):
    save, out = Checkpoints.save, tmp_path / "stopped"

    def asked(self, step, state):
        save(self, step, state)
        if step == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Checkpoints, "save", asked)
    assert run(training(), out, RUNNING) == AGAIN and "run the same command again" in capfd.readouterr().err
    assert losses(out)[-1][0] == 3
    assert run(training(), out, RUNNING) == 0 and same(out, whole)


def test_a_loss_that_is_not_finite_is_said_with_its_step(tmp_path):
    wild = replace(SETTINGS, rate=1e9, warmup=1.0)
    with pytest.raises(InputError, match=r"at step 4 the loss is nan.* keeps the checkpoint of step 2"):
        run(training(wild), tmp_path / "wild", RUNNING)


def test_a_run_that_is_older_than_a_setting_goes_on(whole, tmp_path):
    record = training().identity()
    record["settings"].pop("groups")
    (tmp_path / "training.json").write_text(json.dumps(record))
    agree(tmp_path, training().identity())
    with pytest.raises(InputError, match=r'settings.groups "", not "x=1"'):
        agree(tmp_path, training(replace(SETTINGS, groups="x=1")).identity())


@pytest.mark.exhaustive
def test_a_model_with_an_empty_array_goes_on(tmp_path):
    alone = training(config=replace(CONFIG, class_token=False, pool="mean"))  # no tokens before its patches
    assert run(alone, tmp_path, RUNNING) == 0
    once = weights(tmp_path)
    shutil.rmtree(tmp_path / FOLDER / "6")
    assert run(alone, tmp_path, RUNNING) == 0
    again = weights(tmp_path)
    assert again["prefix"].shape == (0, 16)
    assert all(np.array_equal(again[name], once[name]) for name in once)


def test_a_folder_that_holds_another_training_or_none(whole, tmp_path):
    with pytest.raises(InputError, match=r"settings.batch 4, not 2; settings.seed 3, not 0: choose another --out"):
        run(training(replace(SETTINGS, batch=2, seed=0)), whole, RUNNING)
    other = build(CONFIG, {name: array + 1 for name, array in values(noise.model(CONFIG)).items()})
    others = {"labels": np.zeros(12, np.int32)}
    with pytest.raises(InputError, match=r'data.labels "\w{8}", not "\w{8}": choose another --out'):
        run(training(arrays=others), whole, RUNNING)
    with pytest.raises(InputError, match=r'model.weights "\w{16}", not "\w{16}": choose another --out'):
        run(training(given=other), whole, RUNNING)
    with alone(whole), pytest.raises(InputError, match="another process is training in"):
        run(training(), whole, RUNNING)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="holds no training"):
        run(training(), tmp_path, RUNNING)


@pytest.mark.parametrize("fault", ["damaged", "foreign"])
def test_a_checkpoint_that_cannot_be_read_is_said_in_a_line(whole, tmp_path, fault):
    shutil.copytree(whole, out := tmp_path / "copy")
    about = training()
    if fault == "damaged":
        for path in (out / FOLDER / "6").rglob("*"):
            if path.is_file() and "ocdbt" not in path.name and "METADATA" not in path.name:
                path.write_bytes(path.read_bytes()[:10])
        match = "is damaged .*remove .*6 to go on from the one before it"
    else:
        wider = replace(about.config, width=32)
        about = replace(about, config=wider, task=replace(about.task, config=wider), given=None)
        record = json.loads((out / "training.json").read_text())
        record["model"]["config"]["width"] = 32
        del record["model"]["weights"]  # as it begins at random
        (out / "training.json").write_text(json.dumps(record))
        match = r"6 is of another training: learned.model.* is \(.*\) instead of"
    with pytest.raises(InputError, match=match):
        run(about, out, RUNNING)
