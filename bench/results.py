"""Results of the benchmarks, from the JSON of bench_gpu, of bench_peers.py and of Google Benchmark."""

import json
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path

SCHEMA = "nsameta-bench-1"
TIMES = ("graph_us", "cold_us", "call_ns", "one_shot_ns", "wall_us", "done_us", "time_us")
_MICROSECONDS = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}


class BadResults(Exception):
    pass


@dataclass(frozen=True)
class Spread:
    """Median and quartiles over the repetitions of a measurement."""

    median: float
    low: float
    high: float


@dataclass
class Row:
    case: str
    impl: str
    variant: str
    metrics: dict[str, Spread] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)  # whatever else the file says of the row
    error: str = ""

    @property
    def key(self):
        return (self.case, self.impl, self.variant)

    @property
    def group(self):
        return self.case.split("/")[0]


@dataclass
class Run:
    """One file of results."""

    path: Path
    program: str
    date: str
    command: str
    machine: str
    repetitions: int
    baseline: dict[str, Spread]
    rows: list[Row]


def quartiles(samples):
    ordered = sorted(samples)
    if len(ordered) == 1:
        return Spread(ordered[0], ordered[0], ordered[0])
    low, _, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(statistics.median(ordered), low, high)


def pattern(text):
    """A compiled regular expression, for the name of a case."""
    try:
        return re.compile(text)
    except re.error as error:
        raise BadResults(f"--filter {text!r}: {error}") from error


def load(path):
    """The runs in a file, or in all *.json of a folder."""
    path = Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise BadResults(f"{path} holds no *.json")
    return [_load_file(file) for file in files]


def _load_file(path):
    try:
        document = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise BadResults(f"{path}: {error}") from error
    try:
        if document.get("schema") == SCHEMA:
            return _own(path, document)
        if "benchmarks" in document:
            return _google(path, document)
    except (KeyError, TypeError, ValueError) as error:
        raise BadResults(f"{path}: {type(error).__name__} {error}") from error
    raise BadResults(f"{path}: neither {SCHEMA} nor the JSON of Google Benchmark")


def _own(path, document):
    rows = []
    for entry in document["rows"]:
        metrics = {
            name: Spread(value["median"], value["low"], value["high"])
            for name, value in entry.get("metrics", {}).items()
        }
        error = entry.get("error", "")
        if not error and not entry.get("ok", True):
            error = f"{entry.get('num_wrong', 'some')} elements differ from the oracle"
        rows.append(Row(entry["case"], entry["impl"], entry["variant"], metrics, entry, error))
    baseline = {
        name: Spread(value["median"], value["low"], value["high"])
        for name, value in document.get("baseline", {}).items()
    }
    machine = document["machine"]
    return Run(
        path,
        document["program"],
        document["date"],
        document.get("command", ""),
        f"{machine['device']}, driver {machine.get('driver', 'unknown')}",
        document.get("repetitions", 1),
        baseline,
        rows,
    )


def _google(path, document):
    samples = {}
    for entry in document["benchmarks"]:
        if entry.get("run_type", "iteration") == "iteration":
            samples.setdefault(entry.get("run_name", entry["name"]).removesuffix("/real_time"), []).append(entry)
    rows = []
    for name, entries in samples.items():
        row = Row(name, "nsameta", "cpu")
        rows.append(row)
        errors = [entry["error_message"] for entry in entries if entry.get("error_occurred")]
        if errors:
            row.error = errors[0]
            continue
        row.metrics["time_us"] = quartiles([e["real_time"] * _MICROSECONDS[e.get("time_unit", "ns")] for e in entries])
        for counter in ("bytes_per_second", "share_of_fill"):
            if all(counter in entry for entry in entries):
                row.metrics[counter] = quartiles([entry[counter] for entry in entries])
    context = document["context"]
    machine = f"{context.get('processor', context.get('host_name', 'unknown'))}, {context.get('threads', '?')} threads"
    repetitions = max((len(entries) for entries in samples.values()), default=1)
    return Run(path, "bench_cpu", context["date"], context.get("executable", ""), machine, repetitions, {}, rows)
