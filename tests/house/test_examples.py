"""Every example of the README and the pages runs as it is written, on small models and with few steps.

The suite runs those of a few pages; `python -m docs examples` runs all, by `VITJAX_EXAMPLES=all`.
"""

import gc
import os
import re

import jax
import numpy as np
import pytest

from tests.support.examples import EXAMPLES, ROOT, checkpoints, photographs, run, shortened, stood_in

LIGHT = {"docs/activations.md"}
ALL = os.environ.get("VITJAX_EXAMPLES") == "all"
RUN = list(dict.fromkeys(one.page for one in EXAMPLES if ALL or (one.page in LIGHT and one.kind == "python")))


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """A folder with what examples name."""
    folder = tmp_path_factory.mktemp("examples")
    photographs(folder)
    if ALL:
        checkpoints(folder)
    return folder


@pytest.mark.parametrize("page", RUN)
def test_the_examples_of_a_page_run(page, furnished, tmp_path, monkeypatch):
    """One after another, as a reader goes through them: each finds what those before it made."""
    from vitjax.optimize import workers

    for path in furnished.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "plan", shortened(workers.plan))
    names = {"images": np.full((2, 64, 64, 3), 0.5, np.float32)}
    for example in (one for one in EXAMPLES if one.page == page and (ALL or one.kind == "python")):
        print(f"--- {example}")
        if example.skipped:
            print(f"skipped: {example.skipped}")
        elif example.kind == "sh":
            run(example, tmp_path)
        else:
            exec(compile(stood_in(example.text), str(example), "exec"), names)
    jax.clear_caches()  # XLA crashes where a process has no memory map left
    gc.collect()


def test_examples_are_found_with_their_lines():
    found = {str(example): example for example in EXAMPLES}
    assert len(found) > 100 and {"python", "sh"} == {example.kind for example in EXAMPLES}
    for example in EXAMPLES:
        first = example.text.strip().splitlines()[0].split(" && ")[0]
        line = (ROOT / example.page).read_text().splitlines()[example.line - 1]
        assert re.sub(r"\s+", " ", first[:20]) in re.sub(r"\s+", " ", line), example


def test_every_command_is_vitjax_s_or_named_as_skipped():
    shell = [example for example in EXAMPLES if example.kind == "sh"]
    assert [str(one) for one in shell if not one.text.startswith("vitjax ") and not one.skipped] == []
