"""Opens zip archives and reads their members, once what they say of their sizes is found possible."""

import zipfile
from pathlib import Path

from vitjax.errors import InputError

DEFLATE = 1032  # bytes that one compressed byte can stand for at most (zlib's technical notes)


def open_archive(path: Path) -> zipfile.ZipFile:
    """Opens a zip archive after holding its table of contents against the size of the file.

    Raises:
        InputError: no zip archive, a damaged one, two members of one name, or members that declare more bytes than
            the file can hold.
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged table of contents makes zipfile raise whatever it stumbles over
        raise InputError(f"{path} is a damaged or truncated zip archive ({error}); download it again") from None
    members = archive.infolist()
    if len(archive.NameToInfo) < len(members):
        raise InputError(f"{path} holds two members of one name")
    if sum(member.compress_size for member in members) > path.stat().st_size:
        raise InputError(f"{path} is damaged: its members declare more bytes than the file has")
    for member in members:
        most = member.compress_size * (1 if member.compress_type == zipfile.ZIP_STORED else DEFLATE)
        if member.file_size > most:
            raise InputError(f"{path} is damaged: {member.filename!r} declares {member.file_size:,} bytes")
    return archive


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Reads one member whole and checks its CRC-32.

    Raises:
        InputError: damaged, encrypted, or compressed in a way that this Python lacks.
    """
    try:
        return archive.read(name)
    except Exception as error:  # as above
        raise InputError(f"{archive.filename} is damaged at {name!r} ({error}); download it again") from None
