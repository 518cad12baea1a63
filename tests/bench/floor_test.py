"""bench/floor.py: what is slower than the floor, and why."""

import contextlib
import io
import re
import sys
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parents[1] / "bench"), str(FOLDER.parents[1] / "bench" / "peers")]
import bench_cases
import floor
import report
import results

RUN = FOLDER / "samples" / "before" / "bench_gpu.json"
SMALL = floor.Reason(re.compile("^verify/"), 3, "few bytes")
REST = floor.Reason(re.compile("_c4K$"), float("inf"), "not tuned")


class Floor(unittest.TestCase):
    def test_lists_what_is_slower_by_group(self):
        (run,) = results.load(RUN)
        found = floor.slower_than_floor(run, [])
        self.assertEqual(
            [(slow.case, slow.times) for slow in found],
            [("decode/b1_c4K", 1.4), ("verify/b1_c4K", 1.5), ("verify/b32_c4K", 2.0), ("verify/b256_c4K", 5.0)],
        )

    def test_other_ways_to_run_a_case_and_failed_rows_are_left_out(self):
        (run,) = results.load(RUN)
        kept, changed, failed = (row for row in run.rows if row.group == "verify")
        changed.variant, failed.error = "programmatic", "7 elements differ"
        run.rows = [kept, changed, failed]
        self.assertEqual([slow.case for slow in floor.slower_than_floor(run, [])], [kept.case])

    def test_a_reason_holds_below_its_time(self):
        (run,) = results.load(RUN)
        found = {slow.case: slow.reason for slow in floor.slower_than_floor(run, [SMALL])}
        self.assertEqual(found["verify/b32_c4K"], "few bytes")
        self.assertEqual(found["verify/b256_c4K"], floor.UNKNOWN)
        self.assertEqual(found["decode/b1_c4K"], floor.UNKNOWN)

    def test_the_first_reason_counts(self):
        self.assertEqual(floor.reason_of("verify/b1_c4K", 2, [SMALL, REST]), "few bytes")
        self.assertEqual(floor.reason_of("verify/b1_c4K", 4, [SMALL, REST]), "not tuned")

    def test_each_reason_of_the_file_has_a_case(self):
        reasons = floor.load_reasons()
        names = [case.name for case in bench_cases.all_cases()]
        for reason in reasons:
            alone = [name for name in names if floor.reason_of(name, 0, reasons) == reason.text]
            self.assertTrue(alone, reason)


class Report(unittest.TestCase):
    def test_asks_for_reasons_that_are_absent(self):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.assertEqual(report.main([str(RUN)]), 0)
        table = out.getvalue().partition("### Slower than the floor by over 15 %")[2]
        self.assertRegex(table, r"\| verify/b256_c4K +\| +5\.00 \| +1\.00 \| +5\.00 \| \? +\|")
        self.assertRegex(table, r"\| verify/b1_c4K +\| +1\.50 \| +1\.00 \| +1\.50 \| latency")
        self.assertIn("why these are slow: verify/b256_c4K\n", err.getvalue())


if __name__ == "__main__":
    unittest.main()
