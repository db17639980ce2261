"""What every test may ask for: the real data where there is any, the referees, and a process with many devices."""

import atexit
import gc
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from importlib.metadata import entry_points
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background, and so would be what tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test reaches the network
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share a GPU
if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core: threads of torch and scikit-learn would only wait
    os.environ.setdefault("OMP_NUM_THREADS", "1")
CHIPS = {"libtpu": ("accel*", "vfio/*"), "jax_plugins": ("nvidia*", "dxg")}  # where chips of JAX's packages show
installed = [device for name, devices in CHIPS.items() if importlib.util.find_spec(name) for device in devices]
if installed and not any(found for device in installed for found in Path("/dev").glob(device)):  # a compiler alone
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
QUICK = (  # to compile, which most of the suite's time went into: small programs, each run once or twice
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_cpu_multi_thread_eigen=false",  # there is a process for each core
)


def known(flags: Sequence[str]) -> list[str]:
    """Those of XLA's flags that the installed jaxlib has: it ends the process at any other."""
    for library in Path(importlib.util.find_spec("jaxlib").origin).parent.glob("libjax_common.*"):
        with open(library, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as code:
            return [flag for flag in flags if code.find(flag.removeprefix("--").partition("=")[0].encode()) >= 0]
    return []


if "XLA_FLAGS" not in os.environ and not entry_points(group="jax_plugins"):  # an accelerator is tested as it is used
    os.environ["XLA_FLAGS"] = " ".join(known(QUICK))
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # what one process of this run compiles, the others need not
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="vitjax-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.02"  # a few times what writing one down takes
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before what is marked is left out
def pytest_collection_modifyitems(items):
    """Marks as exhaustive what is none of the representatives that its test names."""
    for item in items:
        if (named := item.get_closest_marker("representatives")) and item.callspec.id not in named.args:
            item.add_marker("exhaustive")


def pytest_collection_finish():
    """Leaves what is imported by now out of the search for garbage, which else goes through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


PATIENCE = 1800  # seconds until a process counts as stuck: a loaded machine takes ten times as long as an idle one
MAPS = 4_000  # of memory; a compiled program has dozens. With 10,000 all that is compiled takes a quarter longer
HELD = 3 << 30  # bytes of memory that a process of the suite may keep from module to module


@pytest.fixture(autouse=True, scope="module")
def room_for_programs():
    """Drops compiled programs after a module of tests when they are many or large: XLA crashes at 65,530 maps."""
    yield
    maps, pages = Path("/proc/self/maps"), Path("/proc/self/statm")
    if "jax" not in sys.modules or not maps.exists():
        return
    held = int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if held > HELD or maps.read_bytes().count(b"\n") > MAPS:
        sys.modules["jax"].clear_caches()
        gc.collect()


PARTS = ("vitjax.models", "flax", "jax", "tests")  # what structures of models are made of


@pytest.fixture(autouse=True)
def structures_are_traced_anew(request):
    """Forgets the structures of models when a test patches what they may be made of, and after it."""
    if "monkeypatch" not in request.fixturenames:
        yield
        return

    def forgetting(change):
        def changed(target, *args, **options):
            name = target if isinstance(target, str) else getattr(target, "__module__", None)
            if (name or getattr(target, "__name__", PARTS[0])).startswith(PARTS):
                forget()
                request.addfinalizer(forget)
            return change(target, *args, **options)

        return changed

    def forget():
        if registry := sys.modules.get("vitjax.models.registry"):
            registry._traced.cache_clear()

    patches = request.getfixturevalue("monkeypatch")
    for way in ("setattr", "setitem"):
        setattr(patches, way, forgetting(getattr(patches, way)))
    yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real weights and images: VITJAX_TEST_DATA, or `shared/data` beside the repository; else a skip."""
    named = os.environ.get("VITJAX_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set VITJAX_TEST_DATA to the folder of real weights and images")
    return folder


@pytest.fixture(scope="session")
def timm():
    """The timm library, importable beside a CPU-only torch too; a skip where it or torch is absent."""
    for name in ("torch", "torchvision", "timm"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    from converters.referees.timm_vit import import_timm

    return import_timm()


@pytest.fixture(scope="session")
def forks():
    """Begins programs that use JAX in processes of their own, where `sys.executable` would import it anew each time."""
    from tests.support.forks import Forks

    with Forks() as begun:
        yield begun


@pytest.fixture(scope="session")
def on_devices(forks):
    """A function (source, count=8) -> stdout that runs Python source in a process of its own with `count` CPU devices.

    In the tests' own process JAX keeps one: eight slow every small computation by a sixth to a half.
    """

    def run(source: str, count: int = 8) -> str:
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(count)}
        code, out, err = forks.begin(["-c", textwrap.dedent(source)], environment).ended(PATIENCE)
        assert code == 0, err
        return out

    return run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A folder with a tiny random model as timm would keep it."""
    from vitjax.models.core.config import Preprocess, ViTConfig
    from vitjax.models.registry import random
    from vitjax.weights.save import export_timm

    folder = tmp_path_factory.mktemp("checkpoint")
    config = ViTConfig(
        image_size=(32, 32), patch_size=(16, 16), width=48, depth=2, heads=3, mlp_width=96, classes=10,
        preprocess=Preprocess(crop=0.9),
    )  # fmt: skip
    export_timm(random(config), folder, dtype="float32")
    return folder
