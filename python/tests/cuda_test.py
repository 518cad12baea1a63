"""On an NVIDIA GPU, with CUDA torch: streams, graphs, and what a plan does in them."""

import nsameta
import numpy as np
import pytest
from libraries import has_cuda_torch, torch

from reference import KEPT, Step

pytestmark = pytest.mark.skipif(not has_cuda_torch, reason="needs an NVIDIA GPU and CUDA torch")
BATCH, WIDTH, CONTEXT, TOPK, PAGE = 5, 4, 1024, 256, 64
NAMES = ("seqlens_expanded", "nsa_cache_seqlens", "nsa_cu_seqlens_k", "cache_seqlens", "cu_seqlens_k")
LONG_SLEEP = 50_000_000  # clocks: some 30 ms


class VerifyStep:
    """A verify step on the GPU; `expected` is for the lengths that it holds."""

    def __init__(self, seed=0):
        generator = np.random.default_rng(seed)
        self.draw = lambda: generator.integers(0, CONTEXT - WIDTH, BATCH)
        self.pool = generator.permutation(BATCH + 3)[:BATCH]
        self.table = generator.integers(0, 1 << 30, (BATCH + 3, CONTEXT)).astype(np.int32)
        self.lens = self.draw()
        self.seq_lens = torch.from_numpy(self.lens).cuda()
        self.inputs = {
            "mode": "target_verify",
            "topk": TOPK,
            "page_size": PAGE,
            "tokens_per_request": WIDTH,
            "seq_lens": self.seq_lens,
            "req_pool_indices": torch.from_numpy(self.pool).cuda(),
            "req_to_token": torch.from_numpy(self.table).cuda(),
        }
        self.out = {
            name: torch.full(np.shape(value), KEPT, dtype=torch.int32, device="cuda")
            for name, value in self.expected().items()
        }

    def expected(self):
        step = Step("target_verify", self.lens, [WIDTH] * BATCH, TOPK)
        lengths = step.lengths()
        return {
            **{name: np.array(lengths[name]) for name in NAMES},
            "paged_mqa_ctx_lens_2d": step.context_lengths(WIDTH),
            "page_table_1": step.page_table_1(self.pool, self.table, CONTEXT, "live_128"),
            "real_page_table": step.real_page_table(self.pool, self.table, CONTEXT, "live_128", PAGE),
        }

    def change(self):
        """Other lengths, in the memory that the launches read, on the stream of the caller."""
        self.lens = self.draw()
        self.seq_lens.copy_(torch.from_numpy(self.lens), non_blocking=True)
        for tensor in self.out.values():
            tensor.fill_(KEPT)

    def check(self):
        torch.cuda.synchronize()
        for name, value in self.expected().items():
            np.testing.assert_array_equal(self.out[name].cpu().numpy(), value, err_msg=name)


def callers(step):
    """The two ways to launch: bound once, and by a call with tensors."""
    plan = nsameta.Plan(**step.inputs, out=step.out)
    return {"plan": plan.run, "call": lambda: nsameta.build_metadata(**step.inputs, out=step.out)}


@pytest.fixture(params=("plan", "call"))
def way(request):
    return request.param


def test_a_graph_replays_with_the_lengths_of_now(way):
    step = VerifyStep()
    launch = callers(step)[way]
    launch()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launch()
    for _ in range(50):
        step.change()
        graph.replay()
        step.check()


def test_a_graph_may_capture_the_first_launch_of_a_plan():
    step = VerifyStep(1)
    plan = nsameta.Plan(**step.inputs, out=step.out)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        plan.run()
    step.change()
    graph.replay()
    step.check()


def test_a_graph_captures_batches_of_several_sizes():
    step = VerifyStep(2)
    plan = nsameta.Plan(**step.inputs, out=step.out)
    graphs = {batch: torch.cuda.CUDAGraph() for batch in (1, 3, BATCH)}
    for batch, graph in graphs.items():
        with torch.cuda.graph(graph):
            plan.run(batch, batch * WIDTH, CONTEXT)
    for batch, graph in graphs.items():
        step.change()
        graph.replay()
        torch.cuda.synchronize()
        sums = np.array(step.expected()["cu_seqlens_k"])
        sums[batch + 1 :] = KEPT
        np.testing.assert_array_equal(step.out["cu_seqlens_k"].cpu().numpy(), sums)


def test_a_launch_goes_to_the_current_stream(way):
    step = VerifyStep(3)
    launch = callers(step)[way]
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    # Only behind the sleep are the lengths there. On any other stream the launch would read the old ones.
    with torch.cuda.stream(side):
        torch.cuda._sleep(LONG_SLEEP)
        step.change()
        launch()
    step.check()


def test_a_stream_can_be_named(way):
    step = VerifyStep(4)
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(LONG_SLEEP)
        step.change()
    if way == "plan":
        nsameta.Plan(**step.inputs, out=step.out).run(BATCH, BATCH * WIDTH, CONTEXT, side.cuda_stream)
    else:
        nsameta.build_metadata(**step.inputs, out=step.out, stream=side.cuda_stream)
    step.check()


def test_outputs_are_allocated_on_the_gpu():
    step = VerifyStep(5)
    made = nsameta.build_metadata(**step.inputs, outputs=list(NAMES))
    expected = step.expected()
    for name, tensor in made.items():
        assert tensor.is_cuda
        np.testing.assert_array_equal(tensor.cpu().numpy(), expected[name], err_msg=name)


def test_tables_are_allocated_on_the_gpu_by_bounds():
    step = VerifyStep(9)
    with pytest.raises(ValueError, match="max_kv_bound"):
        nsameta.build_metadata(**step.inputs, outputs=["page_table_1_flattened"])
    made = nsameta.build_metadata(**step.inputs, outputs=["page_table_1", "real_page_table"], table_width="full")
    torch.cuda.synchronize()
    for name, tensor in made.items():
        live = step.expected()[name]
        found = tensor.cpu().numpy()[:, : live.shape[1]]
        np.testing.assert_array_equal(found[live != KEPT], live[live != KEPT], err_msg=name)


def test_a_launch_does_not_wait_for_the_gpu(way):
    step = VerifyStep(6)
    launch = callers(step)[way]
    launch()
    torch.cuda.synchronize()
    torch.cuda._sleep(LONG_SLEEP)
    begin, end = torch.cuda.Event(), torch.cuda.Event()
    begin.record()
    launch()
    end.record()
    assert not begin.query()
    torch.cuda.synchronize()


def test_tensors_of_the_host_beside_those_of_the_gpu_are_refused():
    step = VerifyStep(7)
    with pytest.raises(ValueError, match="is on cuda:0, but the context is for cpu:0"):
        nsameta.build_metadata(**{**step.inputs, "seq_lens": step.seq_lens.cpu()}, out=step.out)
    torch.cuda.synchronize()
    assert all((tensor == KEPT).all() for tensor in step.out.values())


@pytest.mark.parametrize("name", ("seq_lens", "cu_seqlens_k", "real_page_table"))
def test_the_check_names_gpu_memory_that_moved(name):
    step = VerifyStep(8)
    plan = nsameta.Plan(**step.inputs, out=step.out, check=True)
    plan.run()
    tensor = step.out.get(name, step.seq_lens)
    tensor.set_(torch.empty_like(tensor))
    with pytest.raises(ValueError, match=name):
        plan.run()
