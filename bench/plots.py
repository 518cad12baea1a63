"""Plots of the results, as PNG and SVG: times by batch, share of the floor, scaling on a CPU."""

import re

from plot_axes import STYLES, count, draw_line, finish_lines, log_axis, plt, save, shared_legend

_SHAPE = re.compile(r"/b(?P<batch>\d+)(?P<rest>.*)$")
_SCALING = re.compile(r"^scaling/batch:(?P<batch>\d+)/q:(?P<q>\d+)/threads:(?P<threads>\d+)$")
_TABLES = re.compile(r"^scaling_tables/batch:(?P<batch>\d+)/context:(?P<context>\d+)/threads:(?P<threads>\d+)$")
# A figure each, with a panel a group: the first pattern that a group matches.
_FAMILIES = {
    "extend": r"extend(_ragged)?$|lengths_extend$",
    "pages": r"(verify|decode)_pages",
    "kpool4": r".*_kpool4$",
    "steps": r"(verify|decode|draft_extend)",
    "schedule": r"schedule_",
    "seed_sums": r"seed_cu_",
    "seed": r"seed_",
    "lengths": r"lengths_",
    "others": r"",
}
_METRICS = {"graph_us": "GPU time in a graph, us", "done_us": "call until the GPU is done, us"}
_LEAST_BATCHES = 3  # that make a line
_SIDE_BY_SIDE = {1: 1, 2: 2, 4: 2}  # panels in a row, else 3


def _family(group):
    return next(name for name, pattern in _FAMILIES.items() if re.match(pattern, group))


# ---- latency ---------------------------------------------------------------------------------------------------------


def _series(runs, metric):
    """{group: {rest of the shape: {implementation: [(batch, Spread)]}}}"""
    timed_in_c = {row.case for run in runs if run.program == "bench_gpu" for row in run.rows if not row.error}
    found = {}
    for run in runs:
        for row in run.rows:
            shape = _SHAPE.search(row.case)
            if shape is None or row.error or metric not in row.metrics or row.impl == "nsameta one-shot":
                continue
            name = row.impl if row.variant == "plain" else f"{row.impl}, {row.variant}"
            if run.program != "bench_gpu" and name == "nsameta":
                if metric == "graph_us" and row.case in timed_in_c:
                    continue  # the same kernel
                name = "nsameta from Python"
            lines = found.setdefault(row.group, {}).setdefault(shape["rest"], {})
            lines.setdefault(name, []).append((int(shape["batch"]), row.metrics[metric]))
    return found


def _title(group, rest):
    return f"{group}{rest.replace('_c', ', contexts to ').replace('_', ', ')}"


def _panels(series):
    """{family: [(title, lines)]} of what has enough batches for a line."""
    found = {}
    for group, by_rest in series.items():
        for rest, lines in by_rest.items():
            if max(len({batch for batch, _ in points}) for points in lines.values()) >= _LEAST_BATCHES:
                found.setdefault(_family(group), []).append((_title(group, rest), lines))
    return found


def _draw_panels(panels, ylabel, out, name):
    columns = _SIDE_BY_SIDE.get(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(3.3 * columns, 2.9 * rows), squeeze=False, sharey=True, layout="constrained"
    )
    for axes, (title, lines) in zip(grid.flat, panels, strict=False):
        for line, points in lines.items():
            draw_line(axes, line, points, *STYLES.get(line, (None, "-")))
        axes.set_title(title, fontsize="medium")
        finish_lines(axes, {batch for points in lines.values() for batch, _ in points}, "batch, requests")
        axes.tick_params(labelleft=True)
    for axes in list(grid.flat)[len(panels) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    shared_legend(figure, figure.axes, columns)
    return save(figure, out, name)


def draw_latency(runs, out):
    names = []
    for metric, ylabel in _METRICS.items():
        suffix = "" if metric == "graph_us" else "_from_host"
        for family, panels in _panels(_series(runs, metric)).items():
            names.append(_draw_panels(panels, ylabel, out, f"latency_{family}{suffix}"))
    return names


def draw_extend(runs, out):
    """Shapes of extend differ in more than the batch: a row a shape, a mark an implementation."""
    metrics = {metric: _series(runs, metric) for metric in _METRICS}
    marks = {}  # {metric: {implementation: [(case, time)]}}
    for metric, series in metrics.items():
        for group, by_rest in series.items():
            for rest, lines in by_rest.items() if _family(group) == "extend" else ():
                for line, points in lines.items():
                    found = marks.setdefault(metric, {}).setdefault(line, [])
                    found += [(f"{group}/b{batch}{rest}", spread.median) for batch, spread in points]
    if not marks:
        return []
    cases = list(dict.fromkeys(case for lines in marks.values() for found in lines.values() for case, _ in found))
    figure, grid = plt.subplots(
        1, len(marks), figsize=(1.8 + 3.6 * len(marks), 1 + 0.24 * len(cases)), squeeze=False, layout="constrained"
    )
    for axes, (metric, lines) in zip(grid.flat, marks.items(), strict=True):
        for line, found in lines.items():
            color, style = STYLES.get(line, (None, "-"))
            filled = color if style == "-" else "none"
            places = [cases.index(case) for case, _ in found]
            times = [time for _, time in found]
            axes.plot(times, places, "o", color=color, markerfacecolor=filled, markersize=5, label=line)
        axes.set_xscale("log")
        log_axis(axes.xaxis)
        axes.set_yticks(range(len(cases)), cases if axes is grid[0, 0] else [""] * len(cases))
        axes.set_ylim(len(cases) - 0.5, -0.5)
        axes.grid(True, alpha=0.3)
        axes.set_xlabel(_METRICS[metric])
    shared_legend(figure, figure.axes)
    return [save(figure, out, "latency_extend")]


# ---- share of the floor ----------------------------------------------------------------------------------------------


def draw_floor(runs, out):
    by_family = {}
    for run in runs:
        for row in run.rows if run.program == "bench_gpu" else ():
            if not row.error and row.variant == "plain" and "share_hot" in row.facts:
                by_family.setdefault(_family(row.group), []).append(row)
    names = []
    for family, rows in by_family.items():
        figure, axes = plt.subplots(figsize=(7, 0.9 + 0.2 * len(rows)), layout="constrained")
        for offset, (fact, label) in enumerate((("share_hot", "data in L2"), ("share_cold", "cold"))):
            places = [i + 0.4 * (offset - 0.5) for i in range(len(rows))]
            axes.barh(places, [100 * row.facts.get(fact, 0) for row in rows], height=0.4, label=label)
        axes.set_yticks(range(len(rows)), [row.case for row in rows], fontsize="small")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.axvline(100, color="black", linewidth=0.8)
        axes.grid(True, axis="x", alpha=0.3)
        axes.set_xlabel("floor (bytes over copy bandwidth, and an empty kernel) / time, %")
        shared_legend(figure, [axes])
        names.append(save(figure, out, f"share_of_floor_{family}"))
    return names


# ---- scaling on a CPU ------------------------------------------------------------------------------------------------


def _scaling(runs):
    """({workload: [(threads, Spread)]}, {(q, threads): [(tokens, Spread)]})"""
    by_threads, by_tokens = {}, {}
    for run in runs:
        for row in run.rows:
            if row.error or "time_us" not in row.metrics:
                continue
            time = row.metrics["time_us"]
            if seed := _SCALING.match(row.case):
                batch, q, threads = (int(seed[name]) for name in ("batch", "q", "threads"))
                by_threads.setdefault(f"{count(batch)} x {q} tokens", []).append((threads, time))
                by_tokens.setdefault((q, threads), []).append((batch * q, time))
            elif tables := _TABLES.match(row.case):
                name = f"tables, {tables['batch']} x {count(int(tables['context']))}"
                by_threads.setdefault(name, []).append((int(tables["threads"]), time))
    return by_threads, by_tokens


def draw_cpu_scaling(runs, out):
    by_threads, by_tokens = _scaling(runs)
    if not by_threads:
        return []
    figure, axes = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
    for name, points in by_threads.items():
        draw_line(axes, name, points, style="--" if name.startswith("tables") else "-")
    finish_lines(axes, {threads for points in by_threads.values() for threads, _ in points}, "threads")
    axes.set_ylabel("us a call")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    names = [save(figure, out, "cpu_scaling_threads")]
    if not by_tokens:
        return names
    most = max(threads for _, threads in by_tokens)
    figure, axes = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
    for (q, threads), points in by_tokens.items():
        if threads in (1, most):
            label = f"{q} tokens a request, {threads} thread{'s' * (threads > 1)}"
            draw_line(axes, label, points, "tab:blue" if q < 16 else "tab:orange", "--" if threads == 1 else "-")
    finish_lines(
        axes, {tokens for points in by_tokens.values() for tokens, _ in points}, "tokens of the seed operation"
    )
    axes.tick_params(axis="x", rotation=45)
    axes.set_ylabel("us a call")
    axes.legend(frameon=False)
    return [*names, save(figure, out, "cpu_scaling_tokens")]


def draw_all(runs, out):
    """Names of the plots that the results suffice for."""
    return [*draw_latency(runs, out), *draw_extend(runs, out), *draw_floor(runs, out), *draw_cpu_scaling(runs, out)]
