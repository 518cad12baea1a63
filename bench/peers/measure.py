"""GPU time in a graph, warm and cold, and wall time of a call. On a CPU: wall time alone."""

import math
import statistics
import time
import warnings

import torch

_COUNTED = 20  # launches of a graph that count: those of one with 22 less those of one with 2
_FEW = 2
_COLD_FACTOR = 3  # L2 sizes that other sets of buffers touch before one comes again
_GRAPH_BUDGET_US = 30e3
_WALL_BUDGET_S = 0.1
_LEAST_DELAY_CYCLES = 100_000
_CYCLES_PER_US = 4000  # twice those of any clock


def spread(samples):
    ordered = sorted(samples)
    if len(ordered) == 1:
        return {"median": ordered[0], "low": ordered[0], "high": ordered[0]}
    low, _, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return {"median": statistics.median(ordered), "low": low, "high": high}


def num_cold_sets(num_bytes, l2_bytes):
    """As many sets of buffers as exceed L2 before the first comes again, but no more than a graph has launches."""
    return min(math.ceil(_COLD_FACTOR * l2_bytes / max(num_bytes, 1)) + 1, _FEW + _COUNTED)


def l2_bytes():
    return torch.cuda.get_device_properties(0).L2_cache_size


class Flush:
    """Overwrites L2, which leaves it full of lines to be written back."""

    def __init__(self):
        self._buffer = torch.empty(_COLD_FACTOR * l2_bytes(), dtype=torch.uint8, device="cuda")

    def __call__(self):
        self._buffer.fill_(0x5A)


class _Graph:
    """Some copies of calls, which take turns."""

    def __init__(self, calls, stream, copies):
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=stream):
            for i in range(copies):
                calls[i % len(calls)]()
        self._start, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._hand_over_us = 0.0
        self._graph.replay()
        torch.cuda.synchronize()
        begin = time.perf_counter()
        self._graph.replay()
        self._hand_over_us = 1e6 * (time.perf_counter() - begin)
        torch.cuda.synchronize()

    def _replay_us(self, flush):
        if flush is not None:
            flush()
        # The GPU waits until the host has handed over all of it.
        torch.cuda._sleep(max(_LEAST_DELAY_CYCLES, int(_CYCLES_PER_US * self._hand_over_us)))
        self._start.record()
        self._graph.replay()
        self._end.record()
        self._end.synchronize()
        return self._start.elapsed_time(self._end) * 1000

    def median_us(self, flush):
        self._replay_us(flush)
        once = self._replay_us(flush) + self._hand_over_us
        count = int(min(max(_GRAPH_BUDGET_US / once, 10), 100))
        for _ in range(count // 2):
            self._replay_us(flush)
        return statistics.median(self._replay_us(flush) for _ in range(count))


class GraphTimer:
    """Of one call inside a captured graph. Several calls, each with buffers of its own, take turns in it."""

    def __init__(self, calls):
        before = torch.cuda.current_stream()
        stream = torch.cuda.Stream()
        stream.wait_stream(before)
        try:
            with torch.cuda.stream(stream):
                for call in [*calls, *calls]:
                    call()
            torch.cuda.synchronize()
            self._few, self._many = (_Graph(calls, stream, copies) for copies in (_FEW, _FEW + _COUNTED))
        finally:
            torch.cuda.set_stream(before)  # a capture that fails leaves its own

    def microseconds(self, flush=None):
        return (self._many.median_us(flush) - self._few.median_us(flush)) / _COUNTED


def wall_microseconds(call, synchronize, least):
    """Medians of many calls, each on an idle device: until the call returns, and until the device is done."""
    begin = time.perf_counter()
    call()
    synchronize()
    once = time.perf_counter() - begin
    count = int(min(max(_WALL_BUDGET_S / max(once, 1e-6), least), 300))
    returned, done = [], []
    for _ in range(count):
        begin = time.perf_counter()
        call()
        returned.append(time.perf_counter() - begin)
        synchronize()
        done.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(returned), 1e6 * statistics.median(done)


def synchronises(call):
    """Whether torch makes the host wait for the device in a call, which no graph can hold."""
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return any("called a synchronizing" in str(warning.message) for warning in caught)


def measure_on_cpu(call, repetitions):
    walls = [wall_microseconds(call, lambda: None, 1) for _ in range(repetitions)]
    return {"metrics": {"wall_us": spread([wall for wall, _ in walls])}}


def measure_on_gpu(call, make_others, flush, repetitions):
    """The facts of a row: metrics, or why some are absent. make_others() gives calls on other sets of buffers."""
    walls = [wall_microseconds(call, torch.cuda.synchronize, 5) for _ in range(repetitions)]
    metrics = {"wall_us": spread([wall for wall, _ in walls]), "done_us": spread([done for _, done in walls])}
    if synchronises(call):
        return {"metrics": metrics, "no_graph": "synchronises"}
    warm = GraphTimer([call])
    metrics["graph_us"] = spread([warm.microseconds() for _ in range(repetitions)])
    cold = GraphTimer([call, *make_others()])
    metrics["cold_us"] = spread([cold.microseconds(flush) for _ in range(repetitions)])
    return {"metrics": metrics}
