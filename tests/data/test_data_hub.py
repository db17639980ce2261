"""Data sets from the hub, whose part a small server plays: splits, the cache, and each failure in one line."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from tests.support.pictures import level, rows, unpack
from tests.weights.test_hub import online
from vitjax.data.files.open import open_images
from vitjax.errors import InputError

COMMITS = {"main": "b" * 40, "v1": "a" * 40, "refs/convert/parquet": "c" * 40}
COMMITS |= {commit: commit for commit in COMMITS.values()}
REFUSALS = {  # status and headers: of the list of files, and of a file
    "me/private": [(401, {"X-Error-Code": "RepoNotFound"})] * 2,
    "me/gated": [None, (403, {"X-Error-Code": "GatedRepo"})],
    "me/busy": [(503, {})] * 2,
    "me/dropped": [None, None],
    "me/odd": [None, None],
}


@dataclass
class Hub:
    """A server of data sets, and the requests that came to it."""

    folder: Path  # COMMIT/FILE
    requests: list[str] = field(default_factory=list)
    broken: bool = False  # hang up before each answer


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Hub]:
    """The hub that huggingface-hub talks to in this process, with an empty cache."""
    state = Hub(tmp_path / "repo")
    for commit, split, shards in (("b", "train", 1), ("b", "validation", 3), ("a", "validation", 1)):
        for shard in range(shards):
            file = state.folder / (commit * 40) / "data" / f"{split}-{shard:05d}-of-{shards:05d}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            images = {f"{split}{commit}{shard}{i}.png": level(10 * shard + i) for i in range(2)}
            pq.write_table(rows(images, label=[0, 1]), file)
    (state.folder / ("c" * 40)).mkdir()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": state}))
    Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    online(monkeypatch, f"http://127.0.0.1:{listening.server_port}", tmp_path / "hf")
    yield state
    listening.shutdown()
    listening.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers `/api/datasets/REPOSITORY/{revision,tree}/REVISION` and `/datasets/REPOSITORY/resolve/REVISION/FILE`."""

    hub: Hub

    def do_HEAD(self):
        self.respond(head=True)

    def do_GET(self):
        self.respond(head=False)

    def log_message(self, *args):
        pass

    def respond(self, head: bool) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        owner, name, verb, *rest = (
            unquote(urlsplit(self.path).path).removeprefix("/api").removeprefix("/datasets/").split("/")
        )
        repo, rest = f"{owner}/{name}", "/".join(rest)
        revision = next((known for known in COMMITS if rest == known or rest.startswith(f"{known}/")), None)
        folder, file = self.hub.folder / COMMITS.get(revision, ""), rest.removeprefix(f"{revision}/")
        refusal = REFUSALS.get(repo, [None, None])[verb == "resolve"]
        if self.hub.broken:
            self.close_connection = True
        elif refusal:
            self.say(*refusal)
        elif repo not in ("me/photos", *REFUSALS):
            self.say(404, {"X-Error-Code": "RepoNotFound"})
        elif revision is None or not folder.exists():
            self.say(404, {"X-Error-Code": "RevisionNotFound"})
        elif verb == "revision":
            names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
            record = {"id": repo, "sha": COMMITS[revision], "siblings": [{"rfilename": name} for name in names]}
            self.say(200, {}, b"<html>" if repo == "me/odd" else json.dumps(record).encode())
        elif verb == "tree":
            files = [path for path in folder.rglob("*") if path.is_file()]
            sizes = [{"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size} for path in files]
            self.say(200, {}, json.dumps([{"type": "file", "oid": "0" * 40} | size for size in sizes]).encode())
        else:
            data = (folder / file).read_bytes()
            headers = {"X-Repo-Commit": COMMITS[revision], "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
            self.say(200, headers, data, b"" if head else data[:9] if repo == "me/dropped" else data)

    def say(self, status: int, headers: dict[str, str], data: bytes = b"", body: bytes | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data if body is None else body)


def offline(monkeypatch) -> None:
    """No network, and huggingface-hub knows."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def complaint(address: str, split: str | None = "validation") -> str:
    """The one line of the error that opening a data set ends with."""
    with pytest.raises(InputError) as caught:
        open_images(address, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_split_is_downloaded(server):
    images = open_images("hf://datasets/me/photos", "validation")
    assert images.names == tuple(f"validationb{shard}{i}.png" for shard in range(3) for i in range(2))
    assert [images.read(i) for i in (5, 0)] == [level(21), level(0)] and images.column.tolist() == [0, 1] * 3
    assert images.source == f"hf://datasets/me/photos@{'b' * 40} (validation)"
    assert not any("train" in request for request in server.requests)


def test_a_path_may_have_eaten_a_slash(server):
    assert len(open_images(Path("hf://datasets/me/photos"), "train")) == 2


@pytest.mark.parametrize("revision", ["v1", "a" * 40])
def test_a_revision_is_pinned(server, revision):
    images = open_images(f"hf://datasets/me/photos@{revision}")
    assert images.names == ("validationa00.png", "validationa01.png")
    assert not any("main" in request for request in server.requests)


def test_the_cache_answers_when_nothing_else_does(server, monkeypatch):
    names = open_images("hf://datasets/me/photos", "validation").names
    server.broken = True
    assert open_images("hf://datasets/me/photos", "validation").names == names
    offline(monkeypatch)
    sent = len(server.requests)
    assert open_images("hf://datasets/me/photos", "validation").names == names
    assert open_images("hf://datasets/me/photos").names == names  # the only split that is cached
    assert open_images(f"hf://datasets/me/photos@{'b' * 40}").names == names
    assert len(server.requests) == sent
    assert "has no split 'train', it has validation" in complaint("hf://datasets/me/photos", "train")
    line = complaint("hf://datasets/me/photos@v1")
    assert "me/photos at v1 is not in the hub's cache" in line and "HF_HUB_OFFLINE is set" in line


def test_a_split_that_was_fetched_by_other_means_is_found(server, monkeypatch):
    """The cache then knows that the rest of the data set is not there, which does not matter."""
    huggingface_hub.snapshot_download("me/photos", repo_type="dataset", allow_patterns="*/train-*")
    offline(monkeypatch)
    assert open_images("hf://datasets/me/photos", "train").names == ("trainb00.png", "trainb01.png")


def test_what_is_cached_is_not_downloaded_again(server):
    open_images("hf://datasets/me/photos", "validation")
    server.requests.clear()
    open_images("hf://datasets/me/photos", "validation")
    assert not any(request.startswith("GET /datasets") for request in server.requests)


@pytest.mark.parametrize("finished", [1, 2])
@pytest.mark.parametrize("converted", [False, True])
def test_a_download_that_was_stopped_is_not_taken_for_all(server, monkeypatch, converted, finished):
    if converted:  # the number of files is in none of their names
        for i, file in enumerate(sorted((server.folder / ("b" * 40)).rglob("validation-*"))):
            unpack(server.folder / ("c" * 40), {f"default/validation/{i:04d}.parquet": file.read_bytes()})
        shutil.rmtree(server.folder / ("b" * 40) / "data")

    def stop(request, original=Handler.respond, **options):
        original(request, **options)
        server.broken = sum(request.startswith("GET /datasets") for request in server.requests) == finished

    with monkeypatch.context() as patch:
        patch.setattr(Handler, "respond", stop)
        assert "cannot reach the hub" in complaint("hf://datasets/me/photos")
    offline(monkeypatch)
    said = f"{3 - finished} of 3 files of validation of me/photos are not in the hub's cache"
    assert complaint("hf://datasets/me/photos") == said


def test_what_the_hub_has_converted_is_taken(server, monkeypatch):
    (server.folder / ("b" * 40)).rename(server.folder / "kept")
    unpack(server.folder / ("b" * 40), {"photos.zip": b"zip"})
    data = (server.folder / "kept" / "data" / "validation-00000-of-00003.parquet").read_bytes()
    unpack(server.folder / ("c" * 40), {f"default/validation/{i:04d}.parquet": data for i in range(2)})
    images = open_images("hf://datasets/me/photos")
    assert len(images) == 4 and images.source.startswith(f"hf://datasets/me/photos@{'c' * 40}")
    offline(monkeypatch)
    assert open_images("hf://datasets/me/photos", "validation").names == images.names
    images = open_images(f"hf://datasets/me/photos@{'c' * 40}", "default/validation")
    assert images.names == tuple(f"validation/{i:06d}" for i in range(4))  # the same paths in both files


def test_a_data_set_without_tables(server):
    for commit in "bc":
        for file in (server.folder / (commit * 40)).rglob("*.parquet"):
            file.unlink()
    line = complaint("hf://datasets/me/photos")
    assert line == "me/photos has no parquet files at main or refs/convert/parquet"
    (server.folder / ("c" * 40)).rmdir()
    assert complaint("hf://datasets/me/photos") == line
    assert complaint("hf://datasets/me/photos@main") == "me/photos has no parquet files at main"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hf://datasets/me/photoz", "the hub has no data set me/photoz; if it is private, log in with"),
        ("hf://datasets/me/private", "the hub has no data set me/private; if it is private, log in with"),
        ("hf://datasets/me/gated", "/datasets/me/gated, then log in with `hf auth login` or set HF_TOKEN"),
        ("hf://datasets/me/busy", "answered 503 for its list of files of me/busy, not in its cache; try again later"),
        ("hf://datasets/me/dropped", "cannot reach the hub at http://127.0.0.1"),
        ("hf://datasets/me/odd", "does not answer like a hub; check HF_ENDPOINT"),
        ("hf://datasets/me/photos@v2", "me/photos has no revision 'v2'"),
        ("hf://datasets/me/a..b", "me/a..b is not a name that a repository on the hub can have"),
        ("hf://me/photos", "is no data set on the hub: hf://datasets/OWNER/NAME"),
        ("hf://datasets/me/photos/data/x.parquet", "is no data set on the hub: hf://datasets/OWNER/NAME"),
    ],
)
def test_what_the_hub_refuses(server, address, said):
    assert said in complaint(address)


def test_no_network_is_said_at_once(monkeypatch, tmp_path):
    waits = []
    online(monkeypatch, "http://127.0.0.1:1", tmp_path)
    monkeypatch.setattr("time.sleep", waits.append)
    line = complaint("hf://datasets/me/photos")
    assert "cannot reach the hub at http://127.0.0.1:1 ([Errno" in line
    assert "and me/photos at main is not in its cache" in line and waits == []
