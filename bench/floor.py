"""Which cases take longer than the floor explains, and the reasons that reasons.json knows."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

LIMIT = 1.15  # times the floor
UNKNOWN = "?"
_REASONS = Path(__file__).resolve().parent / "reasons.json"


@dataclass(frozen=True)
class Slow:
    case: str
    graph_us: float
    floor_us: float
    reason: str

    @property
    def times(self):
        return self.graph_us / self.floor_us


@dataclass(frozen=True)
class Reason:
    """Why cases are slow, as long as they take less than `below_us`."""

    cases: re.Pattern
    below_us: float
    text: str

    def explains(self, case, graph_us):
        return graph_us < self.below_us and self.cases.search(case) is not None


def load_reasons(path=_REASONS):
    return [
        Reason(re.compile(entry["cases"]), entry.get("below_us", math.inf), entry["reason"])
        for entry in json.loads(path.read_text())
    ]


def reason_of(case, graph_us, reasons):
    """The first that explains it."""
    return next((reason.text for reason in reasons if reason.explains(case, graph_us)), UNKNOWN)


def slower_than_floor(run, reasons):
    """Plain rows beyond LIMIT, by group and, within one, as they were measured."""
    found = []
    for row in run.rows:
        if row.error or row.variant != "plain" or "graph_us" not in row.metrics or "floor_us" not in row.facts:
            continue
        graph_us, floor_us = row.metrics["graph_us"].median, row.facts["floor_us"]
        if graph_us > LIMIT * floor_us:
            found.append(Slow(row.case, graph_us, floor_us, reason_of(row.case, graph_us, reasons)))
    return sorted(found, key=lambda slow: slow.case.split("/")[0])
