"""A converted model pushed to the hub, whose part a small server plays, and loaded from there by its name."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from huggingface_hub import constants

import vitjax
from tests.atlas.test_push import ATTRIBUTES, Handler, Hub, contents, serving
from tests.weights.test_convert import assert_equal
from vitjax import InputError
from vitjax.cli import main
from vitjax.weights.publish.push import push

REPO = "me/atlas"
COMMIT = "b" * 40


class Models(Handler):
    """A hub of models that can also be downloaded, every file as a large one: under the sha256 of its bytes."""

    kind = "models"

    def do_HEAD(self):
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        repo, _, place = self.path.strip("/").partition("/resolve/")
        if not place or self.hub.broken:
            return super().answer(body)
        files, (_, _, name) = self.hub.repos.get(repo, {}).get("main", {}), place.partition("/")
        found = name in files
        self.send_response(200 if found else 404)
        digest = hashlib.sha256(files.get(name, b"")).hexdigest()
        headers = {"ETag": f'"{digest}"'} if found else {"X-Error-Code": "EntryNotFound"}
        for header, value in {
            "X-Repo-Commit": COMMIT,
            "Content-Length": str(len(files.get(name, b""))),
            **headers,
        }.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(files.get(name, b""))


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Hub]:
    """A hub of models, empty."""
    with serving(Models, monkeypatch, tmp_path / "hf") as hub:
        yield hub


@pytest.fixture
def folder(checkpoint, tmp_path, server):
    """A converted model, pushed."""
    command = ["convert", "--model", str(checkpoint), "--out", str(tmp_path / "ported"), "--push", REPO, "--private"]
    assert main(command) == 0
    return tmp_path / "ported"


def test_everything_arrives(server, folder):
    there = server.repos[REPO]["main"]
    assert there == contents(folder) | ATTRIBUTES
    assert f'vitjax.load("{REPO}")' in there["README.md"].decode()
    made = server.made[0]
    assert made.get("private") or made.get("visibility") == "private"


def test_it_loads_by_its_name(server, folder, checkpoint, monkeypatch):
    original = vitjax.load(checkpoint)
    loaded = vitjax.load(REPO)
    assert_equal(loaded, original)
    assert loaded.card == replace(original.card, source=checkpoint.name)
    server.broken = True
    assert_equal(vitjax.load(f"{REPO}@{COMMIT}"), original)
    assert_equal(vitjax.load(REPO), original)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_equal(vitjax.load(REPO), original)
    with pytest.raises(InputError, match=r"me/atlas was converted for \(32, 32\) pixels"):
        vitjax.load(REPO, image_size=48)


def test_another_conversion_replaces_it(server, folder, checkpoint):
    server.repos[REPO]["main"] |= {"README.md": b"mine", "arrays/of.an.older.one": b"gone"}
    assert main(["convert", "--model", str(checkpoint), "--out", str(folder), "--image-size", "48"]) == 0
    assert push(folder, REPO) == f"{server.address}/{REPO}"
    assert server.repos[REPO]["main"] == contents(folder) | ATTRIBUTES | {"README.md": b"mine"}
    assert vitjax.load(REPO).config.image_size == (48, 48)


def test_bytes_that_are_not_the_hub_s_are_not_loaded(server, folder):
    cached = vitjax.load(REPO) and next((folder.parent / "hf").rglob("arrays/head.kernel/0.0"))
    data = cached.read_bytes()
    cached.resolve().write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(InputError, match=r"head\.kernel/0\.0 is not what the hub has; delete"):
        vitjax.load(REPO)


@pytest.mark.parametrize("file", ["../../../etc/passwd", "/etc/passwd", "a\\..\\b", "", "."])
def test_files_elsewhere_are_not_asked_for(server, folder, file):
    stated = json.loads(server.repos[REPO]["main"]["provenance.json"])
    stated["files"][file] = 1
    server.repos[REPO]["main"]["provenance.json"] = json.dumps(stated).encode()
    with pytest.raises(InputError, match="which is no file below it"):
        vitjax.load(REPO)


def test_a_repository_without_a_model(server):
    server.repos[REPO] = {"main": dict(ATTRIBUTES)}
    with pytest.raises(InputError, match=r"me/atlas has no config\.json at main, nor provenance\.json"):
        vitjax.load(REPO)


def test_what_is_not_pushed(server, folder, checkpoint, capsys):
    server.repos["me/data"] = {"main": {**ATTRIBUTES, "train.parquet": b"years of work"}}
    with pytest.raises(InputError, match=r"me/data holds train\.parquet and no converted model"):
        push(folder, "me/data")
    (folder / "arrays/head.bias/0").unlink()
    for broken in (folder, checkpoint):
        with pytest.raises(InputError, match="is no whole converted model"):
            push(broken, "me/new")
    command = ["convert", "--model", str(checkpoint), "--out", str(folder.parent / "other")]
    assert main([*command, "--private"]) == 2 and "--private goes with --push" in capsys.readouterr().err
    assert main([*command, "--push", "new"]) == 2
    assert "'new' is not a name that a model on the hub can have: OWNER/NAME" in capsys.readouterr().err
    assert not (folder.parent / "other").exists() and "me/new" not in server.repos
