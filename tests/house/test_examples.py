"""Every example of the README and the pages runs as it is written, on small models and with few steps.

The suite runs those of a few pages; `python -m docs examples` runs all, by `VITJAX_EXAMPLES=all`.
"""

import os
import re

import numpy as np
import pytest

from tests.support.examples import ROOT, checkpoints, examples, photographs, run, shortened, stood_in

LIGHT = {"docs/activations.md"}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [example for page in PAGES for example in examples(page)]
ALL = os.environ.get("VITJAX_EXAMPLES") == "all"
RUN = [example for example in EXAMPLES if ALL or (example.page in LIGHT and example.kind == "python")]


@pytest.fixture(scope="module")
def desks(tmp_path_factory):
    """A function page -> (folder, names): where its examples run, and what they have named so far."""
    furnished, made = tmp_path_factory.mktemp("examples"), {}

    def desk(page: str):
        if not made:
            photographs(furnished)
            if ALL:
                checkpoints(furnished)
        if page not in made:
            folder = tmp_path_factory.mktemp("page")
            for path in furnished.iterdir():
                (folder / path.name).symlink_to(path)
            made[page] = folder, {"images": np.full((2, 64, 64, 3), 0.5, np.float32)}
        return made[page]

    return desk


@pytest.mark.parametrize(
    "example", [pytest.param(one, marks=pytest.mark.xdist_group(one.page)) for one in RUN], ids=str
)
def test_an_example_runs(example, desks, monkeypatch):
    if example.skipped:
        pytest.skip(f"{example.skipped}: {example.text.strip().splitlines()[0]}")
    from vitjax.optimize import workers

    folder, names = desks(example.page)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(workers, "plan", shortened(workers.plan))
    if example.kind == "sh":
        run(example, folder)
    else:
        exec(compile(stood_in(example.text), str(example), "exec"), names)


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
