"""Models from the hub, whose part a small server plays: commits pinned, the cache used, each failure in one line."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

import vitjax
from tests.models import test_text
from tests.models.test_convnets import random_like, tensors
from tests.support import torch_files
from tests.weights.test_parity_hf import transformers  # noqa: F401, a fixture
from vitjax import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.weights import parameters
from vitjax.weights.find import hub
from vitjax.weights.find.checkpoint import open_tensors
from vitjax.weights.find.source import parse
from vitjax.weights.save import export_timm

ROOT = Path(__file__).resolve().parents[2]
QKV = ("query", "key", "value")
TINY = ViTConfig(image_size=(16, 16), patch_size=(8, 8), width=32, depth=2, heads=2, mlp_width=64, classes=3)
COMMITS = {"main": "b" * 40, "v1": "a" * 40, "a" * 40: "a" * 40, "b" * 40: "b" * 40}

# What the hub says of repositories that one cannot have: status and headers.
REFUSALS = {
    "timm/private": (401, {"X-Error-Code": "RepoNotFound"}),
    "timm/vit_tinny_patch16_224": (404, {"X-Error-Code": "RepoNotFound"}),
    "timm/gated": (403, {"X-Error-Code": "GatedRepo"}),
    "timm/unauthorized": (401, {}),
    "timm/forbidden": (403, {}),
    "timm/busy": (503, {}),
    "timm/nothing": (404, {}),
}


@dataclass
class Hub:
    """A server with one model in the repository `timm/tiny`, and the requests that came to it."""

    folder: Path
    address: str = ""
    requests: list[str] = field(default_factory=list)
    broken: bool = False  # hang up before each answer


@pytest.fixture(scope="module")
def model():
    draw = np.random.default_rng(0).standard_normal
    return parameters.build(
        TINY, {name: 0.1 * draw(shape, np.float32) for name, shape in parameters.shapes(TINY).items()}
    )


@pytest.fixture
def server(model, tmp_path, monkeypatch) -> Iterator[Hub]:
    """The hub that huggingface-hub talks to in this process, with an empty cache."""
    export_timm(model, tmp_path / "repo", dtype="float32", licence="mit")
    state = Hub(tmp_path / "repo")
    listening = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": state}))
    state.address = f"http://127.0.0.1:{listening.server_port}"
    Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    online(monkeypatch, state.address, tmp_path / "hf")
    yield state
    listening.shutdown()
    listening.server_close()


def online(monkeypatch, address: str, folder: Path) -> None:
    """Points huggingface-hub to a server and a cache; it has read its environment variables already."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between its retries


class Handler(BaseHTTPRequestHandler):
    """Answers `/REPOSITORY/resolve/REVISION/FILE` as the hub does."""

    hub: Hub

    def do_HEAD(self):
        self.respond(b"")

    def do_GET(self):
        self.respond(None)

    def log_message(self, *args):
        pass

    def respond(self, body: bytes | None) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        repo, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        file = self.hub.folder / name
        if self.hub.broken:
            self.close_connection = True
        elif repo in REFUSALS:
            self.say(*REFUSALS[repo])
        elif revision not in COMMITS:
            self.say(404, {"X-Error-Code": "RevisionNotFound"})
        elif not file.exists():
            self.say(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMITS[revision]})
        else:
            data = file.read_bytes()
            headers = {"X-Repo-Commit": COMMITS[revision], "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
            headers = headers if repo != "timm/nohub" else {}
            sent = data if body is None else body
            if repo == "timm/dropped":
                sent = sent[:9]
            if repo == "timm/garbled" and name == "model.safetensors" and sent:
                sent = sent[:-1] + bytes([sent[-1] ^ 1])
            if repo == "timm/resumed" and body is None:
                return self.piece(headers, data)
            self.say(200, headers, data, sent)

    def piece(self, headers: dict[str, str], data: bytes) -> None:
        """Answers with a third of what is left of a file, then hangs up."""
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.hub.requests.append(f"from {start}")
        left = data[start:]
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.say(206 if start else 200, headers, left, left[: max(len(data) // 3, 1)])

    def say(self, status: int, headers: dict[str, str], data: bytes = b"", body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def complaint(name: str, revision: str | None = None) -> str:
    """The one line of the error that loading a name ends with."""
    with pytest.raises(InputError) as caught:
        hub.fetch(parse(name, revision))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_newest_commit_is_recorded(server, model):
    loaded = vitjax.load("hf-hub:timm/tiny")
    card = loaded.card
    assert (card.source, card.revision, card.licence) == ("timm/tiny", "b" * 40, "mit")
    assert card.sha256 == hashlib.sha256((server.folder / "model.safetensors").read_bytes()).hexdigest()
    assert str(card) == "timm/tiny@bbbbbbbbbbbb (mit)"
    ours, theirs = parameters.values(loaded), parameters.values(model)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_a_convolutional_network(timm, server):
    theirs = random_like(timm.create_model("resnet50", layers=[1, 1, 1, 1], num_classes=3))
    save_file(tensors(theirs), server.folder / "model.safetensors")
    config = {"architecture": "resnet50", "num_classes": 3, "model_args": {"layers": [1, 1, 1, 1]}}
    about = {"tag": "a1_in1k", "input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3, "license": "apache-2.0"}
    (server.folder / "config.json").write_text(json.dumps(config | {"pretrained_cfg": about}))
    loaded = vitjax.load("timm/resnet50.a1_in1k")
    assert (loaded.card.source, loaded.card.revision) == ("timm/resnet50.a1_in1k", COMMITS["main"])
    assert loaded.card.licence == "apache-2.0" and loaded.taps()["logits"].shape == (3,)
    with pytest.raises(InputError, match=r"unknown model 'resnet50.a1_in1k' \(did you mean timm/resnet50.a1_in1k\?"):
        vitjax.load("resnet50.a1_in1k")


def test_a_text_tower_with_its_tokenizer(transformers, server, monkeypatch):  # noqa: F811
    for file in server.folder.iterdir():
        file.unlink()
    test_text.make(transformers, server.folder, "CLIP")
    words = ["a dog", "do dog"]
    expected = vitjax.load_text(server.folder)(words)
    for name in ("me/clip", f"me/clip@{COMMITS['main']}"):
        np.testing.assert_array_equal(vitjax.load_text(name)(words), expected)
    assert vitjax.load("me/clip").output == "embedding"
    server.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    np.testing.assert_array_equal(vitjax.load_text("me/clip")(words), expected)
    assert not server.requests
    with pytest.raises(InputError, match="me/clip at v1 is not in the hub's cache"):
        vitjax.load_text("me/clip", revision="v1")


def test_a_text_tower_whose_repository_has_no_tokenizer(transformers, server):  # noqa: F811
    test_text.make(transformers, server.folder, "SigLIP")
    (server.folder / "tokenizer.json").unlink()
    encoder = vitjax.load_text("me/siglip")
    assert encoder.model(np.zeros((1, 3), np.int32))["embedding"].shape == (1, 20)
    with pytest.raises(InputError, match=r"there is no tokenizer\.json in"):
        encoder(["dog"])


@pytest.mark.parametrize("name", ["timm/tiny@v1", f"timm/tiny@{'a' * 40}"])
def test_a_revision_is_pinned(server, name):
    found = hub.fetch(parse(name))
    assert found.revision == found.weights.parent.name == found.config.parent.name == "a" * 40
    assert not any("main" in request for request in server.requests)


def test_a_pinned_commit_in_the_cache_needs_no_network(server):
    pinned = parse("timm/tiny", "a" * 40)
    found = hub.fetch(pinned)
    server.requests.clear()
    assert hub.fetch(pinned) == found
    assert server.requests == []


def test_the_newest_is_asked_for_but_not_downloaded_again(server):
    found = hub.fetch(parse("timm/tiny"))
    server.requests.clear()
    assert hub.fetch(parse("timm/tiny")) == found
    assert server.requests == ["HEAD /timm/tiny/resolve/main/config.json"]


def test_the_cache_answers_when_nothing_else_does(server, monkeypatch, tmp_path):
    found = hub.fetch(parse("timm/tiny"))
    server.broken = True
    assert hub.fetch(parse("timm/tiny")) == found
    online(monkeypatch, "http://127.0.0.1:1", tmp_path / "hf")
    assert hub.fetch(parse("timm/tiny")) == found
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.fetch(parse("timm/tiny")) == found
    line = complaint("timm/tiny", "v1")
    assert "timm/tiny at v1 is not in the hub's cache" in line and "HF_HUB_OFFLINE is set" in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm/private", "; if it is private, log in with `hf auth login` or set HF_TOKEN"),
        ("timm/vit_tinny_patch16_224", "no timm/vit_tinny_patch16_224 (did you mean vit_tiny_patch16_224"),
        ("timm/gated", "is gated: accept its terms at http://127.0.0.1"),
        ("timm/unauthorized", "answered 401 for config.json of timm/unauthorized, not in its cache; log in with"),
        ("timm/forbidden", "answered 403 for config.json of timm/forbidden, not in its cache; log in with"),
        ("timm/busy", "answered 503 for config.json of timm/busy, not in its cache; try again later"),
        ("timm/nothing", "answered 404 for config.json of timm/nothing, not in its cache; check the name"),
        ("timm/nohub", "does not answer like a hub; check HF_ENDPOINT"),
        ("timm/dropped", "cannot reach the hub at http://127.0.0.1"),
        ("timm/tiny@v2", "timm/tiny has no revision 'v2'"),
        ("timm/a..b", "timm/a..b is not a name that a repository on the hub can have"),
    ],
)
def test_what_the_hub_refuses(server, name, said):
    assert said in complaint(name)


def test_no_network_is_said_at_once(monkeypatch, tmp_path):
    waits = []
    online(monkeypatch, "http://127.0.0.1:1", tmp_path)
    monkeypatch.setattr("time.sleep", waits.append)
    assert "cannot reach the hub at http://127.0.0.1:1 ([Errno" in complaint("timm/tiny")
    assert "and timm/tiny at main is not in its cache" in complaint("timm/tiny")
    assert waits == []


def test_a_connection_that_is_dropped(server):
    server.broken = True
    assert "cannot reach the hub at" in complaint("timm/tiny")


def test_a_repository_without_safetensors(server):
    (server.folder / "model.safetensors").unlink()
    assert complaint("timm/tiny").startswith(f"timm/tiny has no model.safetensors at {'b' * 40}, nor ")


def rewrite(server, form: str) -> None:
    """Puts the repository's weights in another form, or in two files."""
    tensors = dict(open_tensors(server.folder / "model.safetensors"))
    (server.folder / "model.safetensors").unlink()
    halves = [tensors] if form.endswith("bin") else [dict(list(tensors.items())[i::2]) for i in range(2)]
    name, _, end = form.partition(".")
    parts = [name] if len(halves) == 1 else [f"{name}-{i}" for i in range(2)]
    for part, half in zip(parts, halves, strict=True):
        file = server.folder / f"{part}.{end.partition('.')[0]}"
        save_file(half, file) if file.suffix == ".safetensors" else torch_files.save(file, half)
    if len(halves) == 2:
        where = {
            key: f"{part}.{end.partition('.')[0]}" for part, half in zip(parts, halves, strict=True) for key in half
        }
        (server.folder / form).write_text(json.dumps({"weight_map": where}))


@pytest.mark.parametrize("form", ["pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json"])
def test_weights_in_other_forms(server, model, monkeypatch, form):
    rewrite(server, form)
    for offline in (False, True):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        loaded = parameters.values(vitjax.load("timm/tiny"))
        assert all(np.array_equal(loaded[name], array) for name, array in parameters.values(model).items())


def test_an_index_on_the_hub_that_names_files_elsewhere(server):
    (server.folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "../../../etc/passwd"}}
    (server.folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "names '../../../etc/passwd', which is no file beside it" in complaint("timm/tiny")
    assert not any("passwd" in request for request in server.requests)


def test_a_download_that_breaks_off_goes_on_where_it_was(server, model, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1)  # what arrives is written in pieces of this many bytes
    loaded = parameters.values(vitjax.load("timm/resumed"))
    assert all(np.array_equal(loaded[name], array) for name, array in parameters.values(model).items())
    size = (server.folder / "model.safetensors").stat().st_size
    starts = [int(request[5:]) for request in server.requests if request.startswith("from")]
    assert {0, size // 3, 2 * (size // 3)} <= set(starts)


def test_bytes_that_are_not_the_hub_s_are_not_loaded(server):
    with pytest.raises(
        InputError, match=r"model\.safetensors is not what the hub has; delete .* and download it again"
    ):
        vitjax.load("timm/garbled")


def test_half_a_download_leaves_nothing(server):
    complaint("timm/dropped")
    server.requests.clear()
    assert "cannot reach" in complaint("timm/dropped")
    assert any(request.startswith("GET") for request in server.requests)


def test_a_cache_that_cannot_be_written(server, monkeypatch, tmp_path):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.file_download._chmod_and_move", full)
        line = complaint("timm/tiny")
    assert line.startswith(f"cannot write to the hub's cache {constants.HF_HUB_CACHE}: ") and "No space left" in line
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    assert "Not a directory" in complaint("timm/tiny")


@pytest.mark.exhaustive
def test_the_hub_s_own_variables_hold(server, tmp_path):
    code = "import json, vitjax; card = vitjax.load('timm/tiny').card; print(json.dumps([card.source, card.revision]))"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}

    def run(**variables: str) -> str:
        environment = plain | {"HF_HOME": str(tmp_path / "home"), "JAX_PLATFORMS": "cpu"} | variables
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    assert run(HF_ENDPOINT=server.address) == ["timm/tiny", "b" * 40]
    assert (tmp_path / "home" / "hub" / "models--timm--tiny").is_dir()
    assert run(HF_ENDPOINT="http://127.0.0.1:1", HF_HUB_OFFLINE="1") == ["timm/tiny", "b" * 40]


def test_how_pictures_are_prepared_is_downloaded_too(server, monkeypatch):
    (server.folder / "model.safetensors").unlink()
    settings = {"model_type": "vit", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    settings |= {"intermediate_size": 64, "image_size": 16, "patch_size": 8}
    layer, wide, narrow = "vit.encoder.layer.0", (64, 32), (32, 64)
    square = [f"{layer}.attention.{name}" for name in ("output.dense", *map("attention.{}".format, QKV))]
    dense = {**dict.fromkeys(square, (32, 32)), f"{layer}.intermediate.dense": wide, f"{layer}.output.dense": narrow}
    dense |= dict.fromkeys(("vit.layernorm", f"{layer}.layernorm_before", f"{layer}.layernorm_after"), (32,))
    dense |= {"vit.embeddings.patch_embeddings.projection": (32, 3, 8, 8), "classifier": (3, 32)}
    tensors = {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in dense.items()}
    tensors |= {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in dense.items()}
    tensors |= {"vit.embeddings.cls_token": np.zeros((1, 1, 32), np.float32)}
    save_file(tensors | {"vit.embeddings.position_embeddings": np.zeros((1, 5, 32), np.float32)},
              server.folder / "model.safetensors")  # fmt: skip
    (server.folder / "config.json").write_text(json.dumps(settings))
    assert "preprocessor_config.json" in complaint("timm/tiny")
    processor = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 2}
    (server.folder / "preprocessor_config.json").write_text(json.dumps(processor))
    for offline in (False, True):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        preprocess = vitjax.load("timm/tiny").config.preprocess
        assert preprocess.mean == (0.1, 0.2, 0.3) and preprocess.std == (0.4, 0.5, 0.6)
    asked = [request for request in server.requests if "preprocessor" in request]
    assert f"GET /timm/tiny/resolve/{'b' * 40}/preprocessor_config.json" in asked
