"""GPU time of one call inside a CUDA graph."""

import statistics
import traceback

import torch

COPIES = 20
REPLAYS = 100
CONTEXTS = ((1, 4 << 10), (32, 4 << 10), (32, 64 << 10), (64, 128 << 10), (256, 4 << 10))  # batch, context


def _capture(call, stream, copies):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(copies):
            call()
    return graph


def _median_microseconds(graph):
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(REPLAYS)]
    graph.replay()
    for start, end in events:
        start.record()
        graph.replay()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) * 1000 for start, end in events)


def graph_microseconds(call):
    """Median time that COPIES further calls add to a graph, of one of them: the graph's launch cancels out."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    few, many = (_median_microseconds(_capture(call, stream, copies)) for copies in (COPIES, 2 * COPIES))
    return (many - few) / COPIES


def context_lengths(batch, context, device, dtype=torch.int32):
    rng = torch.Generator().manual_seed(batch * 1_000_003 + context)
    return torch.randint(context // 2, context, (batch,), generator=rng).to(device, dtype)


def print_table(title, rows):
    """rows: (label, function of batch and context that makes the call to be timed)."""
    print(f"\n{title}: GPU microseconds of a call in a graph, {torch.cuda.get_device_name()}")
    print(f"{'':44}" + "".join(f"{f'({batch},{context >> 10}K)':>12}" for batch, context in CONTEXTS))
    for label, make_call in rows:
        cells = []
        for batch, context in CONTEXTS:
            try:
                cells.append(f"{graph_microseconds(make_call(batch, context)):12.2f}")
            except Exception:  # noqa: BLE001 - one cell must not end the table
                traceback.print_exc()
                cells.append(f"{'error':>12}")
        print(f"{label:44}" + "".join(cells), flush=True)


def current_stream():
    return torch.cuda.current_stream().cuda_stream
