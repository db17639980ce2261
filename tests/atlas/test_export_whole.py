"""An exported atlas appears as a whole or not at all, on every disk, and its damage is found."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from shutil import which

import pytest

from tests.conftest import ROOT
from tests.support.made_up import details, made_up, received
from vitjax.atlas.page.export import export
from vitjax.atlas.records.verify import report
from vitjax.atlas.store import checksums
from vitjax.atlas.store.folder import whole
from vitjax.errors import InputError


def test_an_export_is_replaced_only_if_asked(tmp_path):
    site, few = tmp_path / "site", made_up(["logits:1"])
    site.mkdir()
    export(few, site)  # an empty folder is free
    with pytest.raises(InputError, match="is an exported atlas already"):
        export(made_up(["logits:2"]), site)
    assert received(site, "units")["index"] == ["1"]
    done = export(made_up(["logits:2"]), site, overwrite=True)
    assert received(site, "units")["index"] == ["2"]
    written = [path for path in site.rglob("*") if path.is_file()]
    assert done.files == len(written) and done.bytes == sum(path.stat().st_size for path in written)
    assert list(tmp_path.iterdir()) == [site]


def test_what_is_no_export_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file"):
        with pytest.raises(InputError, match="is no exported atlas"):
            export(made_up(["logits:1"]), tmp_path / name, overwrite=True)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == (tmp_path / "file").read_text() == "x"
    assert len(list(tmp_path.iterdir())) == 2


def test_what_appears_meanwhile_is_kept(tmp_path):
    out = tmp_path / "site"
    with pytest.raises(InputError, match="is no exported atlas"), whole(out) as folder:
        folder.write("x", b"x")
        out.mkdir()
        (out / "y").write_text("y")
    assert (out / "y").read_text() == "y" and list(tmp_path.iterdir()) == [out]


def test_two_exports_to_one_folder(tmp_path):
    with whole(tmp_path / "site"), pytest.raises(InputError, match="another process is writing"):
        export(made_up(["logits:1"]), tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


# An export whose pictures come slowly, in a process of its own.
SLOWLY = """
import time, sys
from tests.conftest import ROOT
from tests.support.made_up import details, made_up, received
from vitjax.atlas.page.export import export
plain = made_up()
def pictures(number):
    time.sleep(0.02)
    return plain.pictures(number)
export(made_up(pictures=pictures), sys.argv[1], overwrite=True)
"""


@pytest.mark.parametrize("older", [False, True], ids=["alone", "over an older one"])
def test_killed_in_the_middle(tmp_path, older):
    site, hidden = tmp_path / "site", tmp_path / ".site.partial"
    if older:
        export(made_up(["logits:1"]), site)
    running = subprocess.Popen([sys.executable, "-c", SLOWLY, site], cwd=ROOT)
    while not list(hidden.glob("new/pictures/*/*.webp")):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert hidden.exists() and site.exists() == older
    if older:
        assert received(site, "units")["index"] == ["1"]
    export(made_up(["logits:2"]), site, overwrite=True)
    assert received(site, "units")["index"] == ["2"] and len(details(site)) == 1
    assert list(tmp_path.iterdir()) == [site]


def test_the_list_of_checksums_is_of_all_files(site):
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    sums = checksums.read(site)
    assert sums.keys() | {checksums.KEY} == files.keys()
    assert all(sums[name] == checksums.of_bytes(files[name].read_bytes()) for name in sums)
    assert not any(checksums.flaws(site)) and len(list(checksums.flaws(site))) == len(sums)


FLAWS = {
    "a flipped bit": (lambda site: flip(site / "pictures/logits/7.webp"), "pictures/logits/7.webp", "damaged"),
    "cut": (lambda site: os.truncate(site / "data/units.js", 9), "data/units.js", "9 bytes in place of"),
    "missing": (lambda site: (site / "index.html").unlink(), "index.html", "missing"),
    "added": (lambda site: (site / "data/x.js").write_text("x"), "data/x.js", "not part of the page"),
    "a link": (lambda site: (site / "x").symlink_to("/"), "x", "not part of the page"),
    "a link in its place": (lambda site: link(site / "index.html"), "index.html", "no regular file"),
    "the list": (lambda site: flip(site / "checksums.json"), "checksums.json", "damaged"),
    "no list": (lambda site: (site / "checksums.json").unlink(), "checksums.json", "missing, as in exports of older"),
    "the mark": (lambda site: (site / "data/atlas.js").write_text("x"), "data/atlas.js", "1 bytes in place of"),
}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path: Path) -> None:
    path.rename(path.with_name(".other"))
    path.symlink_to(".other")


@pytest.mark.parametrize("kind", FLAWS)
def test_damage_to_a_page_is_found_and_written_over(tmp_path, capsys, kind):
    damage, file, what = FLAWS[kind]
    few = made_up(["logits:7"])
    export(few, tmp_path / "site")
    (tmp_path / "site" / "README.md").write_text("as a push adds it")
    (tmp_path / "site" / ".gitattributes").write_text("as the hub adds it")
    assert report(str(tmp_path / "site")) == 0
    damage(tmp_path / "site")
    (flaw,) = filter(None, checksums.flaws(tmp_path / "site"))
    assert flaw.file == file and flaw.what.startswith(what)
    seen = [flaw.file for flaw in checksums.flaws(tmp_path / "site", bytes=False) if flaw]
    assert seen == ([] if kind == "a flipped bit" else [file])
    assert report(str(tmp_path / "site")) == 1 and f"{file}: {what}" in capsys.readouterr().out
    export(few, tmp_path / "site", overwrite=True)
    assert report(str(tmp_path / "site")) == 0


def test_a_list_that_leads_outside_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("x")
    export(made_up(["logits:7"]), tmp_path / "site")
    names = ("../secret", str(tmp_path / "secret"), "")
    (tmp_path / "site" / checksums.KEY).write_bytes(checksums.listed({name: (1, "0") for name in names}))
    said = {flaw.file: flaw.what for flaw in checksums.flaws(tmp_path / "site") if flaw}
    assert {said[name] for name in names} == {"no name of a file of the page"}


def test_killed_between_the_two_renames(tmp_path):
    site = tmp_path / "site"
    export(made_up(["logits:1"]), site)
    (tmp_path / ".site.partial").mkdir()
    site.rename(tmp_path / ".site.partial" / "old")
    with pytest.raises(InputError, match="is an exported atlas already"):
        export(made_up(["logits:2"]), site)
    assert received(site, "units")["index"] == ["1"] and list(tmp_path.iterdir()) == [site]


def test_an_interrupt_leaves_nothing(tmp_path):
    def pictures(number: int):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(made_up(pictures=pictures), tmp_path / "site")
    assert list(tmp_path.iterdir()) == []


def refusal(source: str, *arguments: object) -> str:
    """The one line of the InputError that a process of its own ends with."""
    program = f"""
import sys
from tests.conftest import ROOT
from tests.support.made_up import details, made_up, received
from vitjax.atlas.page.export import export
from vitjax.errors import InputError
{textwrap.dedent(source)}
try:
    export(made_up(), sys.argv[1])
except InputError as error:
    print(error)
"""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    return line


def test_a_full_disk_is_one_line_and_freed(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or which("mount") is None:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets no disk be mounted")
    try:
        line = refusal("", disk / "site")
        assert line.startswith(f"cannot write {disk / 'site'}: no space left on device (")
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_limit_on_the_size_of_files_is_one_line(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    line = refusal(f"sys.dont_write_bytecode = True; {limit}", tmp_path / "site")
    assert line.startswith(f"cannot write {tmp_path / 'site'}: file too large")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot write .*not a directory"):
        export(made_up(["logits:1"]), tmp_path / "file" / "below" / "site")
    with pytest.raises(InputError, match=r"cannot write .*name too long"):
        export(made_up(["logits:1"]), tmp_path / ("x" * 300))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_read_only_folder_is_one_line(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("root may write everywhere")
    with pytest.raises(InputError, match=r"cannot write .*permission denied"):
        export(made_up(["logits:1"]), closed / "site")
