"""bench/peers/sweep.py on candidates that were made up, on the CPU. Exit code 77 where there is no torch."""

import contextlib
import io
import re
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

try:
    import torch
except ImportError:
    print("skipped: no torch")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))
import measure
from candidate import Candidate, allocating
from sweep import Sweep

CASE = SimpleNamespace(name="verify/b1", group="verify", batch=1, context=4096, long_context=0)


def writes(impl, *values):
    return allocating(impl, lambda: {"cu_seqlens_k": torch.tensor(values)})


def raises(impl):
    def call():
        raise RuntimeError("compiler is absent")

    return Candidate(impl, lambda: (call, dict))


def rows_of(candidates_of, wanted=""):
    sweep = Sweep(candidates_of, is_gpu=False, repetitions=1, wanted=re.compile(wanted))
    with contextlib.redirect_stderr(io.StringIO()):
        return sweep.rows_of(CASE)


class Failures(unittest.TestCase):
    def test_one_that_fails_stops_no_other(self):
        rows = rows_of(lambda case: [writes("nsameta", 0, 7), raises("a peer"), writes("torch eager", 0, 7)])
        self.assertEqual([row["impl"] for row in rows], ["nsameta", "a peer", "torch eager"])
        self.assertEqual(["error" in row for row in rows], [False, True, False])
        self.assertIn("compiler is absent", rows[1]["error"])
        self.assertIn("wall_us", rows[2]["metrics"])

    def test_a_case_that_cannot_be_prepared_is_a_failed_row(self):
        def candidates_of(case):
            raise MemoryError("too large")

        (row,) = rows_of(candidates_of)
        self.assertEqual((row["case"], "too large" in row["error"]), ("verify/b1", True))

    def test_a_result_that_differs_is_not_timed(self):
        _, row = rows_of(lambda case: [writes("nsameta", 0, 7), writes("a peer", 0, 8)])
        self.assertEqual(row["error"], "cu_seqlens_k: 1 elements differ from ours")
        self.assertNotIn("metrics", row)
        _, row = rows_of(lambda case: [writes("nsameta", 0, 7), writes("a peer", 0, 7, 9)])
        self.assertIn("shape (3,), ours (2,)", row["error"])

    def test_what_nobody_wants_is_compared_with_all_the_same(self):
        rows = rows_of(lambda case: [writes("nsameta", 0, 7), writes("a peer", 1, 7)], "peer")
        self.assertEqual([(row["impl"], "error" in row) for row in rows], [("a peer", True)])


class Cold(unittest.TestCase):
    def test_sets_of_buffers_exceed_the_cache(self):
        self.assertEqual(measure.num_cold_sets(1_000, 50_000_000), 22)
        self.assertEqual(measure.num_cold_sets(50_000_000, 50_000_000), 4)
        self.assertEqual(measure.num_cold_sets(1_000_000_000, 50_000_000), 2)


if __name__ == "__main__":
    unittest.main()
