"""The web server of exported atlases: their files and no others, and what it says when it cannot start."""

import http.client
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.atlas_site import write_site
from vitjax.atlas.serve import server
from vitjax.errors import InputError


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A small exported atlas."""
    return write_site(tmp_path_factory.mktemp("serve") / "atlas", {"logits": ["0", "1"]})


@contextmanager
def served(*folders: Path):
    """A function path -> response, of a server of these folders."""
    with server(folders, 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()

        def get(path: str) -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection("127.0.0.1", running.server_port, timeout=10)
            connection.request("GET", path)
            response = connection.getresponse()
            response.body = response.read()
            connection.close()
            return response

        yield get
        running.shutdown()


def test_files_come_with_their_types(site):
    (site / "units.parquet").write_bytes(b"PAR1")
    with served(site) as get:
        types = {path: get(path).headers["Content-Type"] for path in ("/", "/page/main.js", "/pictures/logits/0.webp")}
        assert types == {"/": "text/html", "/page/main.js": "text/javascript", "/pictures/logits/0.webp": "image/webp"}
        assert get("/units.parquet").headers["Content-Type"] == "application/vnd.apache.parquet"
        assert get("/data/atlas.js").body == (site / "data" / "atlas.js").read_bytes()


OUTSIDE = [
    "/data/",
    "/pictures",
    "/none.js",
    "/../secret",
    "/%2e%2e/secret",
    "/..%2fsecret",
    "/%00",
    "//secret",
    "/x\\y",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_else_is_given(site, path):
    (site.parent / "secret").write_text("secret")
    with served(site) as get:
        response = get(path)
    assert response.status in (301, 404) and b"secret" not in response.body.replace(b"/secret", b"")


def test_several_lie_side_by_side(site, tmp_path):
    other = write_site(tmp_path / "<b>other", {"logits": ["0"]})
    with served(site, other) as get:
        assert get("/atlas/data/atlas.js").status == get("/%3Cb%3Eother/data/atlas.js").status == 200
        assert get("/atlas").headers["Location"] == "/atlas/"
        assert b"&lt;b&gt;other" in get("/").body and b"<b>" not in get("/").body
        assert get("/data/atlas.js").status == get("/atlas/../secret").status == 404


def test_mistakes_are_one_clear_line(site, tmp_path):
    with pytest.raises(InputError, match=r"no exported atlas: there is no data/atlas\.js"):
        server([tmp_path], 0)
    with pytest.raises(InputError, match="no such folder"):
        server([tmp_path / "none"], 0)
    with pytest.raises(InputError, match="different names"):
        server([site, site], 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} of 127.0.0.1 .*in use; port \d+ is free: --port \d+"):
            server([site], port)


def test_ctrl_c_ends_it_quietly(site):
    source = "import sys; from vitjax.atlas.serve import serve; serve([sys.argv[1]], 0)"
    running = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source, str(site)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout.readline().startswith("http://127.0.0.1:")
    running.send_signal(2)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 0 and said.strip() == ""


def test_atlases_served_together_are_told_of_each_other(site, tmp_path):
    other = write_site(tmp_path / "other" / "page", {"logits": ["0"]})
    with served(site, other) as get:
        text = get("/atlas/data/atlas.js").body.decode()
        assert text.startswith('vitjax.receive("atlas",{') or text.startswith('vitjax.receive("atlas", {')
        assert '"beside":[{"name":"other","path":"../other"}]' in text
        assert get("/other/data/units.js").status == 200 and get("/page/index.html").status == 404
