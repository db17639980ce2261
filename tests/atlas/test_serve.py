"""The web server of exported atlases: their files and no others, to those who call it by its name, however many."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.atlas_site import write_site
from vitjax.atlas.server import serve
from vitjax.atlas.server.serve import server
from vitjax.atlas.server.site import known, names_of
from vitjax.atlas.store import checksums
from vitjax.errors import InputError


def list_files(folder: Path) -> None:
    """Gives a folder the list of checksums that an export writes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sums = {path.relative_to(folder).as_posix(): checksums.of_file(path) for path in files}
    (folder / checksums.KEY).write_bytes(checksums.listed(sums))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A small exported atlas, with a table and, outside, a secret."""
    folder = write_site(tmp_path_factory.mktemp("serve") / "atlas", {"logits": ["0", "1"]})
    (folder.parent / "secret").write_text("secret")
    (folder / "units.parquet").write_bytes(b"PAR1")
    list_files(folder)
    return folder


LONG = 600  # seconds, which nothing here takes


@contextmanager
def served(*folders: Path):
    """A function (path, **headers) -> response, of a server of these folders; it knows its `port`."""
    with server(folders, 0) as running:
        answering = threading.Thread(target=running.run)
        answering.start()

        def get(path: str, **headers: str) -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=LONG)
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.body = response.read()
            connection.close()
            return response

        get.port = running.port
        yield get
        running.stop()
        answering.join()


@pytest.fixture(scope="module")
def get(site):
    """See `served`, of `site`."""
    with served(site) as asking:
        yield asking


def test_files_come_with_their_types(get, site):
    types = {path: get(path).headers["Content-Type"] for path in ("/", "/page/main.js", "/pictures/logits/0.webp")}
    text = "; charset=utf-8"
    assert types == {
        "/": f"text/html{text}",
        "/page/main.js": f"text/javascript{text}",
        "/pictures/logits/0.webp": "image/webp",
    }
    assert get("/units.parquet").headers["Content-Type"] == "application/vnd.apache.parquet"
    assert get("/data/atlas.js").body == (site / "data" / "atlas.js").read_bytes()
    assert get("/checksums.json").status == 200


def test_what_a_browser_has_is_not_sent_again_and_parts_can_be_asked_for(get):
    first = get("/units.parquet")
    assert first.headers["Cache-Control"] == "no-cache" and first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert get("/units.parquet", **{"If-None-Match": first.headers["ETag"]}).status == 304
    part = get("/units.parquet", Range="bytes=1-2")
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"AR", "bytes 1-2/4")


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
    "/" + "x" * 5000,
    "/data/%ff",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_else_is_given(get, path):
    response = get(path)
    assert response.status == 404 and b"secret" not in response.body.replace(b"/secret", b"")


def test_links_lead_nowhere(tmp_path):
    atlas = write_site(tmp_path / "atlas", {"logits": ["0"]})  # without a list, so that all of its files are given
    (tmp_path / "secret").write_text("secret")
    (atlas / "link").symlink_to(tmp_path / "secret")
    (atlas / "folder").symlink_to(tmp_path)
    (atlas / "turn").symlink_to(atlas / "index.html")
    os.mkfifo(atlas / "pipe")
    with served(atlas) as get:
        found = [get(path).status for path in ("/link", "/folder/secret", "/pipe", "/turn")]
    assert found == [404, 404, 404, 200]
    for odd in ("folder", "pipe"):
        (atlas / odd).unlink()
    list_files(atlas)
    (atlas / "added").write_text("secret")
    with served(atlas) as get:
        assert [get(path).status for path in ("/added", "/index.html")] == [404, 200]


def test_a_damaged_file_is_not_given_and_a_new_one_is_at_once(tmp_path, capsys):
    atlas = write_site(tmp_path / "atlas", {"logits": ["0"]})
    list_files(atlas)
    picture = atlas / "pictures" / "logits" / "0.webp"
    whole = picture.read_bytes()
    with served(atlas) as get:
        assert get("/pictures/logits/0.webp").body == whole
        picture.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        broken = get("/pictures/logits/0.webp")
        assert broken.status == 500 and b"is damaged" in broken.body and get("/").status == 200
        assert "0.webp is damaged" in capsys.readouterr().err
        list_files(atlas)  # as a new export would
        assert get("/pictures/logits/0.webp").status == 200


NAMES = names_of("127.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:9000", "LOCALHOST", "[::1]:80", "192.168.1.7:8000"])
def test_by_its_name_it_answers(host):
    assert known(host, NAMES)


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "", "[", "a b"]
)
def test_by_another_name_it_does_not(host):
    assert not known(host, NAMES)


def test_a_page_of_another_name_reads_nothing(get):
    refused = get("/data/atlas.js", Host="evil.example")
    assert refused.status == 421 and b"vitjax.receive" not in refused.body and b"evil.example" in refused.body
    assert get("/data/atlas.js", Host="localhost:1").status == 200
    assert known(f"{socket.gethostname()}:8000", names_of("0.0.0.0")) and not known("evil.example", names_of("0.0.0.0"))


def test_many_connections_at_once_are_all_answered(get, site):
    path, open_ = "/data/units.js", []
    for _ in range(200):
        one = socket.create_connection(("127.0.0.1", get.port), timeout=LONG)
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        open_.append(one)
    answers = [b"".join(iter(lambda one=one: one.recv(1 << 16), b"")) for one in open_]
    for one in open_:
        one.close()
    wanted = (site / path[1:]).read_bytes()
    assert [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(wanted)] == []


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_slow_request_is_ended(site, monkeypatch, begun):
    monkeypatch.setattr(serve, "PATIENCE", 0.2)
    with served(site) as get, socket.create_connection(("127.0.0.1", get.port), timeout=LONG) as slow:
        slow.sendall(begun)
        with pytest.raises(OSError):  # of which kind depends on what was sent last
            while True:
                time.sleep(0.02)
                slow.sendall(b"y" if begun else b"")
                if not begun and slow.recv(1) == b"":
                    raise ConnectionResetError
        monkeypatch.setattr(serve, "PATIENCE", LONG)
        assert get("/").status == 200


@pytest.fixture
def connections(monkeypatch) -> list:
    """The connections that were begun; the server looks at them when a test has it `look`."""
    begin, begun = serve._Patient.connection_made, []
    monkeypatch.setattr(serve, "PATIENCE", LONG)
    monkeypatch.setattr(serve._Patient, "connection_made", lambda *args: begun.append(args[0]) or begin(*args))
    return begun


def look(connection) -> None:
    """Has the server look at a connection, as it does by the clock, and waits until it has."""
    seen = threading.Event()
    connection.loop.call_soon_threadsafe(lambda: (connection._look(), seen.set()))
    seen.wait()


def test_a_slow_reader_is_ended_and_a_steady_one_is_not(tmp_path, connections):
    atlas = write_site(tmp_path / "atlas", {"logits": ["0"]})
    (atlas / "large.parquet").write_bytes(bytes(32 << 20))
    with served(atlas) as get, socket.create_connection(("127.0.0.1", get.port), timeout=LONG) as reader:
        reader.sendall(b"GET /large.parquet HTTP/1.1\r\nHost: localhost\r\n\r\n")
        taken = len(reader.recv(1 << 16))
        (connection,) = connections
        for _ in range(3):  # a steady one has taken something between two looks
            while not connection.transport.get_write_buffer_size():  # nobody has to wait for it yet
                time.sleep(0.01)
            before = connection._taken
            while connection._taken == before:
                taken += len(reader.recv(1 << 16))
            look(connection)
        assert not connection.transport.is_closing()
        while not connection.transport.is_closing():  # it takes nothing any more
            look(connection)
        with pytest.raises(ConnectionResetError):
            while more := reader.recv(1 << 20):
                taken += len(more)
            raise ConnectionResetError
        assert taken < 32 << 20
        assert len(get("/large.parquet").body) == 32 << 20


def test_an_answer_may_take_longer_than_a_reader(site, connections, monkeypatch):
    of_file, asked, go_on = checksums.of_file, threading.Event(), threading.Event()
    monkeypatch.setattr(checksums, "of_file", lambda path: asked.set() or (go_on.wait() and of_file(path)))
    with served(site) as get, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, "/units.parquet")
        asked.wait()  # its checksum is being computed
        for _ in range(3):
            look(connections[0])
        go_on.set()
        assert answer.result().status == 200


def test_several_lie_side_by_side(site, tmp_path):
    other = write_site(tmp_path / "{<b>other", {"logits": ["0"]})
    with served(site, other) as get:
        assert get("/atlas/data/atlas.js").status == get("/%7B%3Cb%3Eother/data/atlas.js").status == 200
        assert get("/atlas").headers["Location"] == "/atlas/" and get("/atlas/").status == 200
        assert b"{&lt;b&gt;other" in get("/").body and b"<b>" not in get("/").body
        assert (
            get("/data/atlas.js").status == get("/atlas/../secret").status == get("/atlas/../../secret").status == 404
        )


def test_mistakes_are_one_clear_line(site, tmp_path):
    with pytest.raises(InputError, match=r"no exported atlas: there is no data/atlas\.js"):
        server([tmp_path], 0)
    with pytest.raises(InputError, match="no such folder"):
        server([tmp_path / "none"], 0)
    with pytest.raises(InputError, match="different names"):
        server([site, site], 0)
    with pytest.raises(InputError, match=r"port 0 of 203\.0\.113\.1 cannot be used: cannot assign"):
        server([site], 0, "203.0.113.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} of 127.0.0.1 .*in use; port \d+ is free: --port \d+"):
            server([site], port)


def test_it_says_what_is_missing_and_ctrl_c_ends_it_quietly(tmp_path):
    atlas = write_site(tmp_path / "atlas", {"logits": ["0"]})
    list_files(atlas)
    (atlas / "data" / "units.js").unlink()
    source = "import sys; from vitjax.atlas.server.serve import serve; serve([sys.argv[1]], 0)"
    running = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source, str(atlas)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout.readline().startswith("http://127.0.0.1:")
    running.send_signal(2)
    _, said = running.communicate()
    assert running.returncode == 0
    assert said.strip() == f"vitjax: warning: in {atlas} data/units.js: missing"


def test_atlases_served_together_are_told_of_each_other(site, tmp_path):
    other = write_site(tmp_path / "other" / "page", {"logits": ["0"]})
    with served(site, other) as get:
        text = get("/atlas/data/atlas.js").body.decode()
        assert text.startswith('vitjax.receive("atlas",{') or text.startswith('vitjax.receive("atlas", {')
        assert '"beside":[{"name":"other","path":"../other"}]' in text
        assert get("/other/data/units.js").status == 200 and get("/page/index.html").status == 404
