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

with tempfile.TemporaryDirectory() as folder:
    assert report.main([str(FOLDER / "samples" / "before"), "--out", folder]) == 0
    made = {path.name: path.stat().st_size for path in Path(folder).iterdir()}
for name in ("latency_verify_c4K", "share_of_floor_bench_gpu", "cpu_scaling_threads", "cpu_scaling_tokens"):
    for suffix in ("png", "svg"):
        assert made.get(f"{name}.{suffix}", 0) > 5000, (name, suffix, made)
assert made["tables.md"] > 1000
