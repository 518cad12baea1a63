"""bench/peers/api_calls.py on traces that were made up."""

import contextlib
import io
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))
import api_calls
from api_calls import Event


def trace(*names, first=10.0):
    """Calls of one microsecond each, one after the other, in a range that begins at 5."""
    calls = [Event(name, first + 2 * i, first + 2 * i + 1) for i, name in enumerate(names)]
    return [Event("range", 5.0, first + 2 * len(names)), *calls]


def counted(*names, num_calls=1):
    return api_calls.count(trace(*names), "range", num_calls)


def only(**numbers):
    return dict.fromkeys(api_calls.KINDS, 0) | numbers


class Kinds(unittest.TestCase):
    def expect(self, kind, names):
        for name in names.split():
            self.assertEqual(api_calls.kind_of(name), kind, name)

    def test_launches_of_the_runtime_and_of_the_driver(self):
        self.expect("launches", "cudaLaunchKernel cudaLaunchKernelExC cudaLaunchKernelExC_v11060 cuLaunchKernel")
        self.expect("launches", "cuLaunchKernelEx cudaLaunchCooperativeKernel cudaGraphLaunch cuLaunchHostFunc")

    def test_copies_and_fills(self):
        self.expect("copies", "cudaMemcpyAsync cudaMemsetAsync cudaMemcpy2DAsync cuMemcpyHtoDAsync_v2 cuMemsetD32Async")

    def test_whatever_the_host_waits_in_is_a_synchronisation(self):
        self.expect("synchronisations", "cudaStreamSynchronize cudaDeviceSynchronize cudaEventSynchronize")
        self.expect("synchronisations", "cuCtxSynchronize cuStreamSynchronize cudaMemcpy cudaMemset cuMemcpyDtoH_v2")

    def test_allocations(self):
        self.expect("allocations", "cudaMalloc cudaFree cudaMallocAsync cudaFreeAsync cudaHostAlloc cudaMallocHost")
        self.expect("allocations", "cuMemAlloc_v2 cuMemFree_v2 cuMemCreate")

    def test_queries_do_not_count(self):
        self.expect(
            None, "cudaGetDevice cudaStreamIsCapturing cudaPeekAtLastError cudaGetLastError cudaDeviceGetAttribute"
        )
        self.expect(
            None, "cudaStreamGetCaptureInfo_v2 cudaFuncGetAttributes cudaPointerGetAttributes cuDeviceGetAttribute"
        )
        self.expect(None, "cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags cuOccupancyMaxActiveClusters")
        self.expect(None, "cuCtxGetCurrent cuPointerGetAttribute cudaMemGetInfo cudaEventQuery cudaStreamGetPriority")

    def test_what_is_not_known_is_other(self):
        self.expect(
            "other", "cudaEventRecord cudaStreamWaitEvent cudaFuncSetAttribute cuModuleLoadData cudaSomethingNew"
        )

    def test_other_events_of_a_trace_are_no_calls(self):
        self.expect(None, "aten::empty range cublasCreate customKernel Memcpy cuda:launch")


class Counts(unittest.TestCase):
    def test_one_launch(self):
        self.assertEqual(counted("cudaStreamIsCapturing", "aten::add", "cudaLaunchKernel"), only(launches=1))

    def test_calls_share_what_they_make(self):
        names = ["cudaLaunchKernelExC", "cudaMemcpyAsync", "cudaLaunchKernel"] * 5
        self.assertEqual(counted(*names, num_calls=5), only(launches=2, copies=1))

    def test_what_only_some_of_the_calls_do_is_a_fraction(self):
        names = [*["cudaLaunchKernel"] * 5, "cudaMalloc"]
        self.assertEqual(counted(*names, num_calls=5), only(launches=1, allocations=0.2))

    def test_only_what_starts_in_the_range(self):
        events = [
            Event("cudaDeviceSynchronize", 0.0, 1.0),
            Event("range", 5.0, 9.0),
            Event("cudaLaunchKernel", 6.0, 7.0),
            Event("cudaDeviceSynchronize", 9.5, 11.0),
        ]
        self.assertEqual(api_calls.count(events, "range", 1), only(launches=1))

    def test_a_launch_by_the_driver_inside_one_of_the_runtime_counts_once(self):
        events = [*trace("cudaLaunchKernel"), Event("cuLaunchKernel", 10.2, 10.8)]
        self.assertEqual(api_calls.count(events, "range", 1), only(launches=1))

    def test_a_driver_call_inside_torch_counts(self):
        events = [*trace("aten::launcher"), Event("cuLaunchKernelEx", 10.2, 10.8)]
        self.assertEqual(api_calls.count(events, "range", 1), only(launches=1))

    def test_a_trace_without_calls_counts_nothing(self):
        self.assertIsNone(counted("aten::add"))
        self.assertIsNone(counted("cudaGetDevice"))
        self.assertIsNone(api_calls.count([Event("cudaLaunchKernel", 1.0, 2.0)], "range", 1))


class Failures(unittest.TestCase):
    def test_a_call_that_fails_is_told_and_counts_as_unknown(self):
        def make():
            raise RuntimeError("out of order")

        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertIsNone(api_calls.count_of(make, "verify/b1 by a peer"))
        self.assertIn("verify/b1 by a peer: API calls not counted: RuntimeError('out of order')", err.getvalue())


if __name__ == "__main__":
    unittest.main()
