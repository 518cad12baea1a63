"""compare.py and report.py on small results that were made up."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SAMPLES = FOLDER / "samples"
sys.path.insert(0, str(FOLDER.parents[1] / "bench"))
import compare
import report
import results


def run(program, *arguments):
    """(exit code, standard output, standard error)"""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program.main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


def line_of(text, *words):
    found = [line for line in text.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, (words, found)
    return found[0]


class Results(unittest.TestCase):
    def test_spread_of_google_benchmark_is_that_of_its_repetitions(self):
        (cpu,) = results.load(SAMPLES / "before" / "bench_cpu.json")
        row = next(row for row in cpu.rows if row.case == "scaling/batch:1/q:4/threads:1")
        self.assertEqual(cpu.repetitions, 3)
        self.assertAlmostEqual(row.metrics["time_us"].median, 0.100)
        self.assertAlmostEqual(row.metrics["time_us"].low, 0.099)
        self.assertAlmostEqual(row.metrics["time_us"].high, 0.101)

    def test_files_that_are_none_of_ours_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "x.json"
            for text in ("{", "{}", '{"schema": "nsameta-bench-1"}', '{"benchmarks": [{}]}'):
                file.write_text(text)
                with self.assertRaises(results.BadResults, msg=text):
                    results.load(file)
            file.unlink()
            with self.assertRaises(results.BadResults):
                results.load(folder)


class Compare(unittest.TestCase):
    def test_marks_what_changed_beyond_the_spread(self):
        code, out, _ = run(compare, SAMPLES / "before", SAMPLES / "after")
        self.assertEqual(code, 0)
        self.assertTrue(line_of(out, "verify/b1_c4K ", "graph_us").endswith("0.800 faster"))
        self.assertTrue(line_of(out, "verify/b32_c4K ", "graph_us").endswith("1.100 slower"))
        self.assertTrue(line_of(out, "verify/b256_c4K ", "graph_us").endswith("1.030"))
        self.assertTrue(line_of(out, "verify/b1_c4K ", "cold_us").endswith("1.025"))
        self.assertTrue(line_of(out, "scaling/batch:1/q:4/threads:1 ", "time_us").endswith("1.100 slower"))

    def test_names_rows_that_cannot_be_compared(self):
        _, out, _ = run(compare, SAMPLES / "before", SAMPLES / "after")
        self.assertIn("seed_q8/b1 nsameta plain: after is absent", out)
        self.assertIn("decode/b1_c4K nsameta plain: after failed: 7 elements differ", out)
        self.assertNotIn("decode/b1_c4K nsameta plain  graph_us", out)

    def test_fails_when_asked_to(self):
        arguments = (SAMPLES / "before", SAMPLES / "after", "--metric", "graph_us", "--filter", "^verify")
        self.assertEqual(run(compare, *arguments, "--fail-above", "5")[0], 1)
        self.assertEqual(run(compare, *arguments, "--fail-above", "11")[0], 0)
        self.assertEqual(run(compare, SAMPLES / "before", SAMPLES / "before", "--fail-above", "0")[0], 0)

    def test_a_single_repetition_has_no_spread_to_judge_by(self):
        with tempfile.TemporaryDirectory() as folder:
            document = json.loads((SAMPLES / "after" / "bench_gpu.json").read_text())
            document["repetitions"] = 1
            file = Path(folder) / "once.json"
            file.write_text(json.dumps(document))
            _, out, _ = run(compare, SAMPLES / "before", file, "--metric", "graph_us")
        self.assertTrue(line_of(out, "verify/b1_c4K ", "graph_us").endswith("0.800 ?"))

    def test_bad_arguments_are_explained(self):
        code, _, err = run(compare, SAMPLES / "before", SAMPLES / "nowhere")
        self.assertEqual((code, "nowhere" in err), (2, True))
        code, _, err = run(compare, SAMPLES / "before", SAMPLES / "after", "--filter", "(")
        self.assertEqual((code, "--filter" in err), (2, True))


class Report(unittest.TestCase):
    def test_prints_a_table_for_each_file(self):
        code, out, _ = run(report, SAMPLES / "before")
        self.assertEqual(code, 0)
        self.assertIn("2.00 (1.95..2.05)", line_of(out, "| verify/b32_c4K ", "plain"))
        self.assertIn("99.00..101.00", line_of(out, "| verify/b32_c4K ", "SGLang fused"))
        self.assertIn("failed: not importable", line_of(out, "| verify/b64_c128K "))
        self.assertIn("failed: 7 elements", line_of(out, "| verify/b1_c4K ", "differ"))
        self.assertIn("Copy 4.00 TB/s", out)

    def test_rows_of_a_table_are_aligned(self):
        _, out, _ = run(report, SAMPLES / "before" / "bench_gpu.json")
        tables = [text for text in out.split("\n\n") if text.startswith("|")]
        self.assertEqual(len(tables), 2)
        for text in tables:
            self.assertEqual(len({len(line) for line in text.splitlines()}), 1)

    def test_calls_of_the_api_have_columns(self):
        _, out, _ = run(report, SAMPLES / "before" / "peers.json")
        self.assertRegex(line_of(out, "| case "), r"launches \| copies \| syncs \|$")
        self.assertRegex(line_of(out, "| verify/b32_c4K "), r"\| +1 \| +2 \| +0 \|$")
        self.assertRegex(line_of(out, "| verify/b256_c4K "), r"\| +\| +\| +\|$")  # not counted
        self.assertRegex(line_of(out, "| extend/b8_p0_q1024 "), r" synchronises \|.*\| +60 \| +2 \| +2 \|$")

    def test_says_what_plots_need(self):
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            code, _, err = run(report, SAMPLES / "before", "--out", "never-made")
            self.assertEqual((code, "matplotlib" in err), (2, True))


if __name__ == "__main__":
    unittest.main()
