#!/usr/bin/env python3
"""Prints the results of the benchmarks as tables; with --out it writes them as markdown, with plots as PNG and SVG."""

import argparse
import sys
from pathlib import Path

import floor
import results

EPILOG = """examples:
  bench/report.py build/bench/2026-11-27T120000
  ./dev report build/bench/2026-11-27T120000 --out build/bench/plots    # with a matplotlib of its own, if there is none
exit codes: 0; 2 bad arguments or files"""

_LONGEST_ERROR = 40
_TEXT = ("case", "variant", "implementation", "benchmark", "reason")


def table(headings, rows):
    """Markdown, all aligned: text to the left, figures to the right."""
    cells = [headings, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    is_text = [heading in _TEXT for heading in headings]

    def line(row):
        columns = zip(row, widths, is_text, strict=True)
        return f"| {' | '.join(cell.ljust(width) if left else cell.rjust(width) for cell, width, left in columns)} |"

    rules = (
        "-" * (width + 2) if left else "-" * (width + 1) + ":" for width, left in zip(widths, is_text, strict=True)
    )
    return "\n".join([line(headings), f"|{'|'.join(rules)}|", *map(line, rows)])


def with_spread(spread, digits=2):
    if spread is None:
        return ""
    if spread.low == spread.high:
        return f"{spread.median:.{digits}f}"
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f}..{spread.high:.{digits}f})"


def median(row, metric, digits=0):
    return f"{row.metrics[metric].median:.{digits}f}" if metric in row.metrics else ""


def failure(row):
    return f"failed: {row.error}" if len(row.error) <= _LONGEST_ERROR else f"failed: {row.error[:_LONGEST_ERROR]}..."


def percent(share):
    return "" if share is None else f"{100 * share:.0f}"


def gpu_table(run):
    rows = []
    for row in run.rows:
        if row.error:
            rows.append([row.case, row.variant, failure(row), *[""] * 9])
            continue
        rows.append(
            [
                row.case,
                row.variant,
                with_spread(row.metrics.get("graph_us")),
                with_spread(row.metrics.get("cold_us")),
                median(row, "call_ns"),
                median(row, "one_shot_ns"),
                median(row, "empty_call_ns"),
                str(row.facts.get("launches", "")),
                f"{row.facts['bytes'] / 1e6:.3f}",
                f"{row.facts['floor_us']:.2f}",
                percent(row.facts.get("share_hot")),
                percent(row.facts.get("share_cold")),
            ]
        )
    headings = ["case", "variant", "graph, us", "cold, us", "plan, ns", "one-shot, ns", "empty launch, ns", "launches"]
    return table([*headings, "MB", "floor, us", "floor / graph, %", "floor / cold, %"], rows)


def api_cells(row):
    """Calls of the API by kind; copies hold fills, and a result without them is older than their counting."""
    counted = row.facts.get("api") or {}
    return [f"{counted[kind]:g}" if kind in counted else "" for kind in ("launches", "copies", "synchronisations")]


def peers_table(run):
    rows = []
    for row in run.rows:
        if row.error:
            rows.append([row.case, row.impl, failure(row), *[""] * 6])
            continue
        graph = with_spread(row.metrics.get("graph_us")) or row.facts.get("no_graph", "")
        cold = with_spread(row.metrics.get("cold_us"))
        walls = [with_spread(row.metrics.get(name), 1) for name in ("wall_us", "done_us")]
        rows.append([row.case, row.impl, graph, cold, *walls, *api_cells(row)])
    headings = ["case", "implementation", "graph, us", "cold, us", "call, us", "call to end, us"]
    return table([*headings, "launches", "copies", "syncs"], rows)


def floor_table(run):
    """What is slower than the floor, or nothing; a case without a reason is told on stderr."""
    found = floor.slower_than_floor(run, floor.load_reasons())
    if not found:
        return ""
    unknown = [slow.case for slow in found if slow.reason == floor.UNKNOWN]
    if unknown:
        print(f"report.py: no reason in bench/reasons.json why these are slow: {', '.join(unknown)}", file=sys.stderr)
    rows = [
        [slow.case, f"{slow.graph_us:.2f}", f"{slow.floor_us:.2f}", f"{slow.times:.2f}", slow.reason] for slow in found
    ]
    title = f"### Slower than the floor by over {100 * floor.LIMIT - 100:.0f} %"
    return f"{title}\n\n{table(['case', 'graph, us', 'floor, us', 'times the floor', 'reason'], rows)}\n"


def cpu_table(run):
    rows = []
    for row in run.rows:
        if row.error:
            rows.append([row.case, failure(row), "", ""])
            continue
        speed = row.metrics.get("bytes_per_second")
        share = row.metrics.get("share_of_fill")
        rows.append(
            [
                row.case,
                with_spread(row.metrics["time_us"], 3),
                "" if speed is None else f"{speed.median / 1e9:.2f}",
                with_spread(share and results.Spread(100 * share.median, 100 * share.low, 100 * share.high), 0),
            ]
        )
    return table(["benchmark", "us", "GB/s", "share of a non-temporal fill, %"], rows)


TABLES = {"bench_gpu": gpu_table, "bench_peers": peers_table, "bench_cpu": cpu_table}


def section(run):
    lines = [f"## {run.program}: {run.machine}, {run.date}", ""]
    if run.command:
        lines += [f"`{run.command}`", ""]
    count = "One repetition." if run.repetitions == 1 else f"{run.repetitions} repetitions; in brackets the quartiles."
    lines.append(count)
    if "copy_bytes_per_us" in run.baseline:
        copy, empty = run.baseline["copy_bytes_per_us"], run.baseline["empty_graph_us"]
        lines.append(
            f"Copy {copy.median / 1e6:.2f} TB/s ({copy.low / 1e6:.2f}..{copy.high / 1e6:.2f}), an empty kernel in a "
            f"graph {with_spread(empty)} us."
        )
    lines += ["", TABLES[run.program](run), ""]
    slow = floor_table(run) if run.program == "bench_gpu" else ""
    return "\n".join([*lines, slow] if slow else lines)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="+", help="JSON files, or folders of them")
    parser.add_argument("--out", type=Path, help="folder for tables.md and the plots; needs matplotlib")
    options = parser.parse_args(argv)
    try:
        runs = [run for path in options.results for run in results.load(path)]
        sections = [section(run) for run in runs]
    except results.BadResults as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 2
    if options.out is None:
        print("\n".join(sections))
        return 0
    try:
        import plots
    except ImportError as error:
        print(f"report.py: --out needs matplotlib ({error}): ./dev report brings one", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tables.md").write_text("\n".join(sections))
    names = plots.draw_all(runs, options.out)
    print(f"{options.out}: tables.md" + "".join(f", {name}.png and .svg" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
