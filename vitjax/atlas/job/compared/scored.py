"""Gives the units of an atlas their scores by an encoder: columns of its table of units."""

from collections.abc import Mapping

import pyarrow as pa

from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.analysis.scores.evidence import evidence_of, scores_of
from vitjax.atlas.job.job import Job
from vitjax.models.core.network import provenance

ENCODER = b"encoder"  # where the table's schema says whose eyes the scores are by


def scored(table: pa.Table, job: Job, found: Exemplars | None) -> pa.Table:
    """The table of units with a column for each score; as it is where the job has no encoder or no photographs."""
    if job.encoder is None or found is None:
        return table
    scores = {}
    for units, known in evidence_of(found, job.encoder, job.data, job.units):
        scores |= scores_of(units, known)
    rows = [scores[unit] for unit in table["unit"].to_pylist()]
    for name in rows[0]:
        kind = pa.string() if name == "redundant_with" else pa.float32()
        table = table.append_column(name, pa.array([row[name] for row in rows], kind))
    return table.replace_schema_metadata((table.schema.metadata or {}) | {ENCODER: job.encoder.name.encode()})


def described(job: Job) -> Mapping[str, object]:
    """What decided the scores, for the record of how an atlas ended; nothing where there are none."""
    if job.encoder is None:
        return {}
    sha256 = provenance(job.encoder.model).get("sha256", "")
    return {"encoder": {"name": job.encoder.name, "sha256": sha256, "tap": job.encoder.tap}}
