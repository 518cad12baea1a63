"""The plots of results that were made up. Exit code 77 where there is no matplotlib."""

import sys
import tempfile
from pathlib import Path

try:
    import matplotlib  # noqa: F401
except ImportError:
    print("skipped: no matplotlib")
    sys.exit(77)

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1] / "bench"))
import report

MOST_BYTES = 150_000  # of a file that is checked in


def draw(folder):
    assert report.main([str(FOLDER / "samples" / "before"), "--out", folder]) == 0
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
    made, again = draw(first), draw(second)
for name in ("latency_steps", "latency_extend", "share_of_floor_steps", "cpu_scaling_threads", "cpu_scaling_tokens"):
    for suffix in ("png", "svg"):
        assert 5000 < len(made.get(f"{name}.{suffix}", b"")) < MOST_BYTES, (name, suffix, list(made))
        assert made[f"{name}.{suffix}"] == again[f"{name}.{suffix}"], (name, suffix)
for name, texts in {
    "latency_steps": ("verify, contexts to 4K", "SGLang fused", "256", "GPU time in a graph, us"),
    "latency_extend": ("extend/b8_p0_q1024", "Python loop", "call until the GPU is done, us"),
    "share_of_floor_steps": ("decode/b1_c4K", "cold"),
    "cpu_scaling_threads": ("4K x 4 tokens", "threads"),
}.items():
    for text in texts:
        assert f">{text}</text>".encode() in made[f"{name}.svg"], (name, text)
assert len(made["tables.md"]) > 1000
