"""What all plots have in common: how a line looks, axes, legends, files."""

import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

# Text stays text in an SVG, and the same figures make the same file.
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "nsameta", "font.size": 9, "axes.axisbelow": True})

STYLES = {
    "nsameta": ("tab:blue", "-"),
    "nsameta, programmatic": ("tab:cyan", "--"),
    "nsameta, no bound": ("tab:blue", ":"),
    "nsameta from Python": ("navy", "-"),
    "nsameta without schedule": ("navy", ":"),
    "SGLang fused": ("tab:orange", "-"),
    "SGLang fused kpool": ("tab:orange", "--"),
    "SGLang sequence": ("tab:red", "-"),
    "SGLang expand, torch": ("tab:red", "--"),
    "DeepGEMM": ("tab:purple", "-"),
    "Triton in place": ("tab:green", "-"),
    "Triton allocating": ("tab:green", "--"),
    "torch eager": ("gray", "-"),
    "Python loop": ("black", "-"),
}


def save(figure, out, name):
    for suffix in ("png", "svg"):
        metadata = {"Date": None} if suffix == "svg" else None
        figure.savefig(out / f"{name}.{suffix}", dpi=110, metadata=metadata, bbox_inches="tight")
    plt.close(figure)
    return name


def _number(value, _=None):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def count(value, _=None):
    """65536 as 64K."""
    for size, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if value >= size and value % size == 0:
            return f"{value / size:.0f}{letter}"
    return f"{value:g}"


def log_axis(axis, values=None):
    """Ticks at the values themselves, or at powers of ten and, where these are few, at 2 and 5 of them."""
    axis.set_minor_formatter(NullFormatter())
    if values is not None:
        axis.set_major_locator(FixedLocator(sorted(values)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(count))
        return
    low, high = axis.get_view_interval()
    steps = (1, 2, 5) if high / low < 300 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_major_formatter(FuncFormatter(_number))


def draw_line(axes, name, points, color=None, style="-"):
    """points: [(x, Spread)], with error bars from the quartiles."""
    points = sorted(points, key=lambda point: point[0])
    spreads = [spread for _, spread in points]
    errors = [[s.median - s.low for s in spreads], [s.high - s.median for s in spreads]]
    axes.errorbar(
        [x for x, _ in points],
        [s.median for s in spreads],
        yerr=errors,
        label=name,
        color=color,
        linestyle=style,
        marker="o",
        markersize=3,
        capsize=2,
        linewidth=1.3,
    )


def finish_lines(axes, xs, xlabel):
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    log_axis(axes.xaxis, xs)
    log_axis(axes.yaxis)
    axes.grid(True, which="major", alpha=0.3)
    axes.set_xlabel(xlabel)


def shared_legend(figure, all_axes, columns=2):
    """One legend below the panels, in the order of STYLES."""
    handles = {}
    for axes in all_axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    order = [*(name for name in STYLES if name in handles), *(name for name in handles if name not in STYLES)]
    figure.legend(
        [handles[name] for name in order],
        order,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=min(2 * columns, 4, len(order)),
        frameon=False,
    )
