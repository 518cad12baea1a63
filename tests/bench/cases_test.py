"""bench/peers/bench_cases.py gives the cases the names and the lengths that the C++ programs give them."""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))
import bench_cases

BENCH_CPU = sys.argv.pop(1) if len(sys.argv) > 1 else ""


class Cases(unittest.TestCase):
    def test_lengths(self):
        cases = {case.name: case for case in bench_cases.all_cases()}
        # workloads_test.cpp expects the same sums.
        self.assertEqual(sum(cases["decode/b256_c4K"].seq_lens()), 786_828)
        seed = cases["seed_q128/b4096"]
        self.assertEqual(sum(seed.query_lens()), 265_477)
        self.assertEqual(sum(seed.seq_lens()), 204_792_405)

    @unittest.skipUnless(BENCH_CPU, "bench_cpu is not built")
    def test_names(self):
        command = [BENCH_CPU, "--benchmark_list_tests", "--benchmark_filter=-^(scaling|enqueue|crossing)"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        names = [name.removesuffix("/real_time") for name in listed]
        self.assertEqual(names, [case.name for case in bench_cases.all_cases()])


if __name__ == "__main__":
    unittest.main()
