"""An atlas pushed to the hub, whose part a small server plays: what arrives, what stays, what is refused."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from tests.support.made_up import HOSTILE, made_up
from tests.weights.test_hub import online
from vitjax.atlas.page.dataset_readme import dataset_readme
from vitjax.atlas.page.export import export
from vitjax.atlas.page.push import push
from vitjax.errors import InputError

REPO = "me/atlas"
ATTRIBUTES = {".gitattributes": b"*.bin filter=lfs"}


@dataclass
class Hub:
    """A server of repositories, {name: {branch: {path: bytes}}}; `refusal` answers whatever begins with its path."""

    address: str = ""
    repos: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    made: list[dict] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    refusal: tuple[str, int, dict[str, str]] | None = None
    broken: bool = False  # hang up before each answer


@contextmanager
def serving(handler: type["Handler"], monkeypatch, cache: Path) -> Iterator[Hub]:
    """The hub that huggingface-hub talks to in this process."""
    state = Hub()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"hub": state}))
    state.address = f"http://127.0.0.1:{listening.server_port}"
    Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    online(monkeypatch, state.address, cache)
    yield state
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Hub]:
    """A hub of data sets."""
    with serving(Handler, monkeypatch, tmp_path / "hf") as hub:
        yield hub


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """An exported atlas of two units."""
    folder = tmp_path_factory.mktemp("push") / "site"
    export(made_up(["logits:1", "logits:2"]), folder)
    return folder


class Handler(BaseHTTPRequestHandler):
    """Answers what huggingface-hub asks when it makes a repository and commits to it; all files are small ones."""

    hub: Hub
    kind = "datasets"
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            sizes = iter(lambda: int(self.rfile.readline(), 16), 0)
            body = b"".join(self.rfile.read(size + 2)[:-2] for size in sizes)
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(body)

    def answer(self, body: bytes) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.hub.broken:
            self.close_connection = True
        elif self.hub.refusal and path.startswith(self.hub.refusal[0]):
            self.say({"error": "because"}, *self.hub.refusal[1:])
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif path == "/api/validate-yaml":
            self.say({"errors": [], "warnings": []})
        else:
            kind, owner, name, *rest = [*path.split("/")[2:], "", ""]
            branches = self.hub.repos.get(f"{owner}/{name}")
            if kind != self.kind or branches is None:
                self.say({}, 404, {"X-Error-Code": "RepoNotFound"})
            else:
                self.repository(branches, *filter(None, rest), body=body)

    def create(self, asked: dict) -> None:
        repo = f"{asked['organization']}/{asked['name']}"
        self.hub.made.append(asked)
        address = {"url": self.page(repo)}
        if repo in self.hub.repos:
            return self.say(address, 409)
        self.hub.repos[repo] = {"main": dict(ATTRIBUTES)}
        self.say(address)

    def page(self, repo: str) -> str:
        return f"{self.hub.address}/{self.kind}/{repo}".replace("/models/", "/")

    def repository(self, branches: dict, what: str = "", *rest: str, body: bytes) -> None:
        branch = rest[0] if rest else "main"
        if what == "branch":
            code = 409 if branch in branches else 200
            branches.setdefault(branch, dict(ATTRIBUTES))
            return self.say({}, code)
        if branch not in branches:
            return self.say({}, 404, {"X-Error-Code": "RevisionNotFound"})
        files = branches[branch]
        if what == "tree":
            found = [{"type": "file", "path": p, "size": len(d), "oid": "0" * 40} for p, d in files.items()]
            return self.say(found)
        if what == "preupload":
            asked = json.loads(body)["files"]
            return self.say(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]}
            )
        if what == "commit":
            return self.commit(files, [json.loads(line) for line in body.splitlines() if line])
        self.say({"id": REPO, "sha": "a" * 40, "siblings": [{"rfilename": path} for path in files]})

    def commit(self, files: dict[str, bytes], lines: list[dict]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.say(
            {
                "success": True,
                "commitOid": "b" * 40,
                "commitUrl": f"{self.page(REPO)}/commit/{'b' * 40}",
                "hookOutput": "",
            }
        )

    def say(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def contents(folder: Path) -> dict[str, bytes]:
    """{path: bytes} of all files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_arrives_with_a_card(server, site):
    address = push(site, REPO)
    assert address == f"{server.address}/datasets/{REPO}"
    there = server.repos[REPO]["main"]
    readme = there.pop("README.md").decode()
    assert there == contents(site) | ATTRIBUTES
    assert server.made[0] | {"name": "atlas", "organization": "me", "type": "dataset"} == server.made[0]
    assert 'license: "mit"' in readme and f"hf download {REPO}" in readme
    assert "README.md" not in contents(site)


def test_a_second_push_replaces_the_first(server, site, tmp_path):
    push(site, REPO)
    server.repos[REPO]["main"]["README.md"] = b"mine"
    server.repos[REPO]["main"]["notes/mine.txt"] = b"mine"
    other = tmp_path / "other"
    export(made_up(["logits:7"]), other)
    push(other, REPO)
    assert server.repos[REPO]["main"] == contents(other) | ATTRIBUTES | {
        "README.md": b"mine",
        "notes/mine.txt": b"mine",
    }


def test_a_card_that_is_there_stays(server, site):
    server.repos[REPO] = {"main": {**ATTRIBUTES, "README.md": b"mine"}}
    push(site, REPO)
    assert server.repos[REPO]["main"] == contents(site) | ATTRIBUTES | {"README.md": b"mine"}


def test_a_push_that_was_interrupted_goes_on(server, site):
    server.repos[REPO] = {"main": dict(ATTRIBUTES)}
    server.refusal = (f"/api/datasets/{REPO}/tree", 403, {})
    with pytest.raises(InputError):
        push(site, REPO)
    server.refusal = None
    server.repos[REPO]["main"]["data/atlas.js"] = b"the first commit"
    push(site, REPO)
    assert server.repos[REPO]["main"].keys() == {*contents(site), *ATTRIBUTES, "README.md"}


def test_a_branch_of_its_own(server, site):
    push(site, REPO, revision="v2", private=True)
    push(site, REPO, revision="v2")
    assert server.repos[REPO]["main"] == ATTRIBUTES
    assert contents(site).keys() < server.repos[REPO]["v2"].keys()
    made = server.made[0]
    assert made.get("private") or made.get("visibility") == "private"


def test_other_data_is_left_alone(server, site):
    mine = {"main": {**ATTRIBUTES, "data/train.parquet": b"years of work"}}
    server.repos[REPO] = {"main": dict(mine["main"])}
    with pytest.raises(InputError, match=r"me/atlas holds data/train\.parquet and no atlas"):
        push(site, REPO)
    assert server.repos[REPO] == mine


REFUSALS = [
    ("/api/repos/create", 401, {}, "does not know who you are"),
    ("/api/repos/create", 403, {}, r"may not write to the data set me/atlas \(because\)"),
    ("/api/repos/create", 404, {}, r"has no place for the data set me/atlas"),
    (f"/api/datasets/{REPO}/commit", 403, {}, "may not write"),
    (f"/api/datasets/{REPO}/commit", 400, {}, r"refuses the data set me/atlas \(because\)"),
    (f"/api/datasets/{REPO}/preupload", 404, {"X-Error-Code": "RevisionNotFound"}, "no revision 'v3'"),
    (f"/api/datasets/{REPO}/tree", 503, {}, "answered 503"),
]


@pytest.mark.parametrize(("path", "status", "headers", "said"), REFUSALS)
def test_what_the_hub_refuses_is_one_line(server, site, path, status, headers, said):
    server.refusal = (path, status, headers)
    with pytest.raises(InputError, match=said) as error:
        push(site, REPO, revision="v3")
    assert "\n" not in str(error.value)


def test_without_a_connection(server, site, monkeypatch):
    server.broken = True
    with pytest.raises(InputError, match=f"pushing to {REPO} on {server.address} failed") as error:
        push(site, REPO)
    assert "\n" not in str(error.value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError):
        push(site, REPO)


@pytest.mark.parametrize("repo", ["a/b/c", "me/..", "me/a tlas", "atlas", ""])
def test_a_name_that_cannot_be(server, site, repo):
    with pytest.raises(InputError, match="not a name"):
        push(site, repo)


def test_only_an_exported_atlas_is_pushed(server, tmp_path):
    with pytest.raises(InputError, match="is no exported atlas"):
        push(tmp_path, REPO)
    assert server.made == []


def test_the_card_keeps_names_as_text(tmp_path):
    for name in HOSTILE:
        text = f"{name}\n---\nlicense: wtfpl\n# no"
        hostile = made_up(["logits:1"], title=text, model={"source": text, "licence": text}, data={"source": text})
        export(hostile, tmp_path / "site", overwrite=True)
        lines = dataset_readme(tmp_path / "site", REPO).decode().split("\n")
        end = lines.index("---", 1)
        head = {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in lines[1:end]}
        assert head.keys() == {"pretty_name", "tags", "size_categories", "license", "license_name", "configs"}
        assert head["license"] == "other"
        body = "\n".join(lines[end:])
        assert "<script" not in body and "\n# no" not in body and "\u2028" not in body and "](" in body
        assert body.count("\n---") == 0 and "\nlicense: wtfpl" not in body
    plain = made_up(["logits:1"], model={"source": "x"}, data=None)
    export(plain, tmp_path / "site", overwrite=True)
    assert "licence of the model | not recorded" in dataset_readme(tmp_path / "site", REPO).decode()
