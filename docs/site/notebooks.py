"""Turns notebooks into pages: their text, their code and, where they were run, what came out."""

import base64
import json
import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
COLAB = "https://colab.research.google.com/github/vitjax/vitjax/blob/main/docs/notebooks/"


def pages() -> dict[str, str | bytes]:
    """{address: Markdown, or a picture} of every notebook: of those run, if `VITJAX_NOTEBOOKS` names their folder."""
    made = {}
    for path in sorted(FOLDER.glob("*.ipynb")):
        run = Path(os.environ.get("VITJAX_NOTEBOOKS", FOLDER), path.name)
        cells = json.loads((run if run.is_file() else path).read_text())["cells"]
        shown = [_cell(cell, path.stem, number, made) for number, cell in enumerate(cells)]
        links = f"[Open in Colab]({COLAB}{path.name})"
        title, rest = shown[0].partition("\n")[::2]
        made[f"notebooks/{path.stem}.md"] = "\n\n".join([title, links, rest.strip(), *shown[1:]]) + "\n"
    return made


def _cell(cell: dict, name: str, number: int, made: dict) -> str:
    """A cell as Markdown; its pictures go to `made`."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    parts = [f"```python\n{source}\n```"]
    for place, output in enumerate(cell.get("outputs", [])):
        data = output.get("data", {})
        if "image/png" in data:
            address = f"notebooks/{name}-{number}-{place}.png"
            made[address] = base64.b64decode("".join(data["image/png"]))
            parts.append(f"![What the cell above shows]({Path(address).name})")
        elif output.get("name") != "stderr":
            text = "".join(output.get("text", data.get("text/plain", ""))).strip()
            parts.append(f"```text\n{text}\n```" if text else "")
    return "\n\n".join(parts)
