"""`vitjax.files`: what is read is a regular file of a sane size and of the stated type; what is written is whole."""

import errno
import os
from dataclasses import dataclass

import pytest

from vitjax.errors import InputError
from vitjax.files import make_folder, parse_json, read_bytes, read_json, whole_folder, write_files, write_whole, writing


@dataclass(frozen=True)
class Head:
    number: int
    names: tuple[str, ...] = ()


def test_a_pipe_or_a_device_is_named_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(InputError, match=r"is a pipe, socket or device, not a file"):
            read_bytes(path)
    with pytest.raises(InputError, match="is a folder, not a file"):
        read_bytes(tmp_path)
    with pytest.raises(InputError, match=r"cannot read .*absent: No such file"):
        read_bytes(tmp_path / "absent")


def test_a_file_beyond_its_limit_is_refused_unread(tmp_path):
    with open(tmp_path / "sparse.json", "wb") as file:
        file.truncate(10**11)
    with pytest.raises(InputError, match="has 100,000,000,000 bytes, more than"):
        read_json(tmp_path / "sparse.json")


@pytest.mark.parametrize(
    "text, why",
    [
        ("{", "not valid JSON"),
        ("[" * 10**5, "nested too deeply"),
        ("\xff", "not valid JSON"),
        ('{"number": "3"}', r"Expected `int`, got `str` - at `\$.number`"),
        ('{"number": 3, "names": [1]}', r"Expected `str`, got `int` - at `\$.names"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "missing required field `number`"),
    ],
)
def test_each_fault_of_json_has_a_line(text, why):
    with pytest.raises(InputError, match=f"a.json .*{why}") as caught:
        parse_json(text.encode("latin-1"), "a.json", Head)
    assert "\n" not in str(caught.value)


def test_json_fills_a_dataclass():
    assert parse_json(b'{"number": 3, "names": ["a"], "more": 1}', "a.json", Head) == Head(3, ("a",))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    write_whole(tmp_path / "deep" / "a", b"old")
    write_whole(tmp_path / "deep" / "a", b"new")
    assert (tmp_path / "deep" / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path / "deep") == ["a"]
    with pytest.raises(InputError, match="cannot write"):
        write_whole(tmp_path / "deep" / "a" / "b", b"")
    with pytest.raises(InputError, match="is a file, not a folder"):
        make_folder(tmp_path / "deep" / "a")


def test_what_cannot_take_its_place_leaves_nothing_behind(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_whole(tmp_path / "a", b"data")
    assert os.listdir(tmp_path) == ["a"]


def test_files_that_belong_together_are_written_all_or_none(tmp_path):
    write_files(tmp_path / "deep", {"a": b"old", "b": b"old"})
    with pytest.raises(InputError, match=r"^cannot write .*deep: .*null"):
        write_files(tmp_path / "deep", {"a": b"new", "b\0": b"new"})
    assert (tmp_path / "deep" / "a").read_bytes() == b"old" and sorted(os.listdir(tmp_path / "deep")) == ["a", "b"]
    write_files(tmp_path / "deep", {"a": b"new"})
    assert (tmp_path / "deep" / "a").read_bytes() == b"new" and (tmp_path / "deep" / "b").read_bytes() == b"old"


def test_a_folder_takes_its_place_when_it_is_whole(tmp_path):
    with whole_folder(tmp_path / "deep" / "out") as folder:
        (folder / "a").write_text("old")
        assert not (tmp_path / "deep" / "out").exists()
    with pytest.raises(KeyError), whole_folder(tmp_path / "deep" / "out") as folder:
        (folder / "a").write_text("half")
        raise KeyError
    assert (tmp_path / "deep" / "out" / "a").read_text() == "old" and os.listdir(tmp_path / "deep") == ["out"]
    with whole_folder(tmp_path / "deep" / "out") as folder:
        (folder / "b").write_text("new")
    assert os.listdir(tmp_path / "deep" / "out") == ["b"]


def test_what_cannot_be_written_is_said_in_one_line(tmp_path):
    line = rf"^cannot write {tmp_path}/a: no space left on device \([\d,]+ MB free\)$"
    with pytest.raises(InputError, match=line), writing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(InputError, match=r"^mine$"), writing(tmp_path):
        raise InputError("mine")
