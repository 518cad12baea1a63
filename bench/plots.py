"""Plots of the results, as PNG and SVG."""

import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_SHAPE = re.compile(r"/b(?P<batch>\d+)(?P<rest>.*)$")
_SCALING = re.compile(r"^scaling/batch:(?P<batch>\d+)/q:(?P<q>\d+)/threads:(?P<threads>\d+)$")
_TABLES = re.compile(r"^scaling_tables/batch:(?P<batch>\d+)/context:(?P<context>\d+)/threads:(?P<threads>\d+)$")


def _save(figure, out, name):
    figure.tight_layout()
    for suffix in ("png", "svg"):
        figure.savefig(out / f"{name}.{suffix}", dpi=150)
    plt.close(figure)
    return name


def _draw_lines(axes, series):
    """series: {name: [(x, Spread)]}, with error bars from the quartiles."""
    for name, points in series.items():
        points = sorted(points, key=lambda point: point[0])
        xs = [x for x, _ in points]
        medians = [spread.median for _, spread in points]
        errors = [
            [spread.median - spread.low for _, spread in points],
            [spread.high - spread.median for _, spread in points],
        ]
        axes.errorbar(xs, medians, yerr=errors, marker="o", markersize=4, capsize=3, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize="small")


def _latency_series(runs):
    """{(group, rest of the shape): {implementation: [(batch, Spread)]}} of what has a time in a graph."""
    found = {}
    for run in runs:
        for row in run.rows:
            shape = _SHAPE.search(row.case)
            if shape is None or row.error or "graph_us" not in row.metrics:
                continue
            name = row.impl if row.variant == "plain" else f"{row.impl}, {row.variant}"
            if run.program != "bench_gpu" and row.impl == "nsameta":
                name = "nsameta from Python"
            series = found.setdefault((row.group, shape["rest"]), {})
            series.setdefault(name, []).append((int(shape["batch"]), row.metrics["graph_us"]))
    return found


def draw_latency(runs, out):
    names = []
    for (group, rest), series in _latency_series(runs).items():
        if max(len({batch for batch, _ in points}) for points in series.values()) < 3:
            continue
        figure, axes = plt.subplots(figsize=(7, 4.5))
        _draw_lines(axes, series)
        axes.set_title(f"{group}{rest.replace('_', ', ')}")
        axes.set_xlabel("batch, requests")
        axes.set_ylabel("GPU time in a graph, us")
        names.append(_save(figure, out, f"latency_{group}{rest}"))
    return names


def draw_floor(runs, out):
    names = []
    for run in runs:
        rows = [row for row in run.rows if not row.error and row.variant == "plain" and "share_hot" in row.facts]
        if run.program != "bench_gpu" or not rows:
            continue
        figure, axes = plt.subplots(figsize=(8, 1.5 + 0.22 * len(rows)))
        for offset, (fact, label) in enumerate((("share_hot", "data in L2"), ("share_cold", "cold"))):
            places = [i + 0.4 * offset for i in range(len(rows))]
            axes.barh(places, [100 * row.facts.get(fact, 0) for row in rows], height=0.4, label=label)
        axes.set_yticks([i + 0.2 for i in range(len(rows))], [row.case for row in rows], fontsize="x-small")
        axes.invert_yaxis()
        axes.axvline(100, color="black", linewidth=0.8)
        axes.set_xlabel("floor (bytes over copy bandwidth, and an empty kernel) / time, %")
        axes.legend(fontsize="small")
        names.append(_save(figure, out, f"share_of_floor_{run.path.stem}"))
    return names


def draw_cpu_scaling(runs, out):
    by_threads, by_tokens = {}, {}
    for run in runs:
        for row in run.rows:
            if row.error or "time_us" not in row.metrics:
                continue
            time = row.metrics["time_us"]
            if seed := _SCALING.match(row.case):
                batch, q, threads = (int(seed[name]) for name in ("batch", "q", "threads"))
                by_threads.setdefault(f"{batch:,} x {q} tokens", []).append((threads, time))
                by_tokens.setdefault(f"{q} tokens a request, {threads} thread{'s' * (threads > 1)}", []).append(
                    (batch * q, time)
                )
            elif tables := _TABLES.match(row.case):
                name = f"tables, {tables['batch']} x {int(tables['context']) >> 10}K"
                by_threads.setdefault(name, []).append((int(tables["threads"]), time))
    if not by_threads:
        return []
    names = []
    for name, series, xlabel in (
        ("cpu_scaling_threads", by_threads, "threads"),
        ("cpu_scaling_tokens", by_tokens, "tokens of the seed operation"),
    ):
        figure, axes = plt.subplots(figsize=(7, 4.5))
        _draw_lines(axes, series)
        axes.set_xlabel(xlabel)
        axes.set_ylabel("us a call")
        names.append(_save(figure, out, name))
    return names


def draw_all(runs, out):
    """Names of the plots that the results suffice for."""
    return [*draw_latency(runs, out), *draw_floor(runs, out), *draw_cpu_scaling(runs, out)]
