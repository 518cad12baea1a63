"""GPU time in a graph, wall time, launches and synchronisations of a call. On a CPU: wall time alone."""

import statistics
import sys
import time
import warnings

import torch

_COUNTED = 20  # launches of a graph that count: those of one with 22 less those of one with 2
_GRAPH_BUDGET_US = 30e3
_WALL_BUDGET_S = 0.2


def spread(samples):
    ordered = sorted(samples)
    if len(ordered) == 1:
        return {"median": ordered[0], "low": ordered[0], "high": ordered[0]}
    low, _, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return {"median": statistics.median(ordered), "low": low, "high": high}


def _capture(call, stream, copies):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(copies):
            call()
    return graph


def _replay_us(graph, start, end):
    torch.cuda._sleep(100_000)  # the GPU waits until the host has handed over all of it
    start.record()
    graph.replay()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) * 1000


def _median_replay_us(graph):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    _replay_us(graph, start, end)
    count = int(min(max(_GRAPH_BUDGET_US / _replay_us(graph, start, end), 10), 100))
    for _ in range(count // 2):
        _replay_us(graph, start, end)
    return statistics.median(_replay_us(graph, start, end) for _ in range(count))


class GraphTimer:
    """Of one call inside a captured graph."""

    def __init__(self, call):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                call()
        torch.cuda.synchronize()
        self._few, self._many = (_capture(call, stream, copies) for copies in (2, 2 + _COUNTED))

    def microseconds(self):
        few = _median_replay_us(self._few)
        return (_median_replay_us(self._many) - few) / _COUNTED


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


def count_launches(call):
    """Kernels, copies and fills of one call, or None where the profiler cannot tell."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    try:
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            call()
            torch.cuda.synchronize()
        events = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    except RuntimeError as error:  # no CUPTI, or one that is busy
        print(f"no launches counted: {error}", file=sys.stderr)
        return None
    return len(events) or None


def count_syncs(call):
    """Times that torch makes the host wait for the device in one call."""
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(warning.message) for warning in caught)


def measure(call, repetitions, is_gpu):
    """The facts of a row: metrics, and on a GPU launches, synchronisations and why there is no time in a graph."""
    if not is_gpu:
        walls = [wall_microseconds(call, lambda: None, 1) for _ in range(repetitions)]
        return {"metrics": {"wall_us": spread([wall for wall, _ in walls])}}
    facts = {"syncs": count_syncs(call), "launches": count_launches(call), "metrics": {}}
    walls = [wall_microseconds(call, torch.cuda.synchronize, 5) for _ in range(repetitions)]
    facts["metrics"]["wall_us"] = spread([wall for wall, _ in walls])
    facts["metrics"]["done_us"] = spread([done for _, done in walls])
    if facts["syncs"]:
        facts["no_graph"] = "synchronises"
        return facts
    timer = GraphTimer(call)
    facts["metrics"]["graph_us"] = spread([timer.microseconds() for _ in range(repetitions)])
    return facts
