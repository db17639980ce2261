"""What several seeds of a run say together."""

import statistics
from collections.abc import Sequence


def spread(name: str, values: Sequence[float]) -> dict[str, float | str]:
    """Mean and standard deviation of several values, as columns of a table, empty where there are too few."""
    mean = round(statistics.mean(values), 4) if values else ""
    return {name: mean, f"{name}_sd": round(statistics.stdev(values), 4) if len(values) > 1 else ""}
