"""What an analysis found: a table, the settings that made it and a figure; kept as CSV, JSON and PNG."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import pyarrow as pa
from matplotlib.figure import Figure
from pyarrow import parquet

from vitjax.analysis.study.entry import FORMATS
from vitjax.analysis.study.style import inline, style
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.files import write_whole
from vitjax.models.core.network import Network, provenance

SHOWN = 10  # rows in a notebook
Value = str | int | float | bool | None


def settings(model: Network, data: Dataset, **options: object) -> dict[str, object]:
    """What decided a result, for `Findings.settings`: model and dtype, the data with what was unreadable, options."""
    dtype = {"dtype": str(model.dtype)} if hasattr(model, "dtype") else {}  # not every maker's model says one
    return {"model": provenance(model), **dtype, **data.describe(), **options}


@dataclass(frozen=True)
class Findings:
    """The result of one analysis.

    Attributes:
        name: how files are called, e.g. "patch-heads".
        rows: the table, a mapping per row, all with the same keys.
        settings: everything that decided the numbers: model, data, arguments.
        figures: {name: figure}; the one called "" is saved under the analysis' own name.
        summary: what to print, a line or two.
        tables: {name: table}, larger ones, saved as name.parquet.
        files: {name: bytes}, saved as they are.
    """

    name: str
    rows: Sequence[Mapping[str, Value]]
    settings: Mapping[str, object]
    figures: Mapping[str, Figure] = field(default_factory=dict, repr=False)
    summary: str = ""
    tables: Mapping[str, pa.Table] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def save(self, folder: str | Path, figures: str = "png") -> list[Path]:
        """Writes NAME.json, NAME.csv, figures, tables and files into `folder`, made if need be; gives their paths.

        Figures are in one of `FORMATS`.
        """
        folder = Path(folder)
        if figures not in FORMATS:
            raise InputError(f"figures are written as {', '.join(FORMATS)}, not as {figures!r}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            paths = [folder / f"{self.name}.json", folder / f"{self.name}.csv"]
            record = {"analysis": self.name, "settings": dict(self.settings), "rows": [dict(row) for row in self.rows]}
            paths[0].write_text(json.dumps(record, indent=1) + "\n")
            paths[1].write_text(self.csv())
            for name, figure in self.figures.items():
                paths.append(folder / f"{'-'.join(filter(None, (self.name, name)))}.{figures}")
                with style():
                    figure.savefig(paths[-1])
            for name, table in self.tables.items():
                paths.append(folder / f"{name}.parquet")
                parquet.write_table(table, paths[-1])
            for name, data in self.files.items():
                paths.append(folder / name)
                write_whole(paths[-1], data)
        except OSError as error:
            raise InputError(f"cannot write to {folder}: {error.strerror or error}") from None
        return paths

    def csv(self) -> str:
        """The table as CSV text."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in self.rows)
        return text.getvalue()

    def __repr__(self) -> str:
        also = "".join(f", {name} with {table.num_rows:,} rows" for name, table in self.tables.items())
        said = f"\n{self.summary}" if self.summary else ""
        return f"Findings of {self.name}: {len(self.rows)} rows of {', '.join(self.rows[0])}{also}{said}"

    def _repr_html_(self) -> str:
        """What it found in a line, the figures, and the first rows."""
        said = "".join(f"<p>{escape(line)}</p>" for line in self.summary.splitlines())
        figures = "".join(inline(figure) for figure in self.figures.values())
        head = "".join(f"<th>{escape(key)}</th>" for key in self.rows[0])
        cells = ([escape(_told(value)) for value in row.values()] for row in self.rows[:SHOWN])
        body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
        more = len(self.rows) - SHOWN
        rest = f"<p>{more:,} more rows in <code>.rows</code>; <code>.save(folder)</code> writes all</p>" * (more > 0)
        return f"{said}{figures}<table><tr>{head}</tr>{body}</table>{rest}"


def _told(value: Value) -> str:
    """A value as a cell of a table shows it: four digits, and nothing where there is none."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(value: Value) -> Value:
    return float(f"{value:.6g}") if isinstance(value, float) else value
