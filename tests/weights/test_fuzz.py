"""Small files of each kind with bytes changed at random: the tensors as they were, or one line; never anything else.

What may differ without a word is what a file itself says is data or a name: safetensors and torch before 1.6 keep no
checksum of their data, and a renamed tensor is another tensor. Zip archives keep one, so there every number must be as
it was.
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tests.support import torch_files
from vitjax.errors import InputError
from vitjax.weights.find.checkpoint import open_tensors

draw = np.random.default_rng(0).standard_normal
TENSORS = {"a.weight": draw((3, 4)).astype(np.float32), "a.bias": draw(3).astype(np.float16), "scale": draw(())}
LARGEST = 10**6  # bytes that a damaged file of some hundred may turn into
SLOW = 2  # seconds of the processor, not of the clock, that it may take
EXAMPLES = 200


def whole(kind: str) -> bytes:
    """The bytes of a file of this kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        if kind == "safetensors":
            save_file(TENSORS, path)
        elif kind == "torch":
            torch_files.save(path, TENSORS)
        elif kind == "torch before 1.6":
            counted = {key: (len(data) // 4, data) for key, data in STORAGES.items()}
            torch_files.legacy(path, torch_files.program(VIEWS), counted)
        else:
            (np.savez if kind == "npz" else np.savez_compressed)(path, **TENSORS)
        return path.read_bytes()


INDEX = json.dumps({"metadata": {}, "weight_map": dict.fromkeys(TENSORS, "part.safetensors")}).encode()
VIEWS = {name: torch_files.view(str(i), count=12, shape=(3, 4), strides=(4, 1)) for i, name in enumerate("abc")}
STORAGES = {str(i): draw(12).astype(np.float32).tobytes() for i in range(3)}


@st.composite
def damaged(draw, data: bytes) -> bytes:
    """A file with some bytes replaced, and perhaps a piece cut out, doubled or cut off."""
    changed = bytearray(data)
    for place, byte in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=4)):
        changed[place] = byte
    start, stop = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
    piece = draw(st.sampled_from(["keep", "cut", "double", "end"]))
    if piece == "keep":
        return bytes(changed)
    if piece == "end":
        return bytes(changed[:stop])
    return bytes(changed[:start] + (changed[start:stop] * 2 if piece == "double" else b"") + changed[stop:])


def opened(path: Path) -> dict[str, np.ndarray] | None:
    """All tensors of a file, None if it was refused in one line."""
    try:
        return dict(open_tensors(path))
    except InputError as error:
        assert "\n" not in str(error) and str(error).isprintable()
        return None


def fuzz(path: Path, data: bytes, write, check) -> None:
    """Opens a file as it should be and hundreds that are not, and looks at whatever tensors come of it."""
    write(path, data)
    assert opened(path).keys()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(damaged(data))
    def each(data):
        write(path, data)
        start = time.process_time()
        tensors = opened(path) or {}
        assert time.process_time() - start < SLOW
        for tensor in tensors.values():
            assert tensor.nbytes < LARGEST
            check(tensor)

    each()


def as_it_was(tensor: np.ndarray) -> None:
    """One of the original tensors, to the bit."""
    assert any(tensor.dtype == other.dtype and np.array_equal(tensor, other) for other in TENSORS.values())


@pytest.mark.parametrize("kind", ["torch", "npz", "npz compressed"])
def test_a_damaged_archive_is_refused_or_unharmed(kind, tmp_path):
    fuzz(tmp_path / "model", whole(kind), Path.write_bytes, as_it_was)


@pytest.mark.parametrize("kind", ["safetensors", "torch before 1.6"])
def test_a_damaged_file_without_checksum_is_refused_or_has_other_data(kind, tmp_path):
    fuzz(tmp_path / "model", whole(kind), Path.write_bytes, lambda tensor: None)


def test_a_damaged_index_is_refused_or_unharmed(tmp_path):
    save_file(TENSORS, tmp_path / "part.safetensors")
    fuzz(tmp_path / "model.index.json", INDEX, Path.write_bytes, as_it_was)


def test_a_pickle_changed_with_its_checksum_stays_within_its_storages(tmp_path):
    there = set(np.frombuffer(b"".join(STORAGES.values()), np.uint8).tolist())

    def within(tensor):
        assert set(np.frombuffer(tensor.tobytes(), np.uint8).tolist()) <= there

    fuzz(
        tmp_path / "model",
        torch_files.program(VIEWS),
        lambda path, code: torch_files.write(path, code, STORAGES),
        within,
    )
