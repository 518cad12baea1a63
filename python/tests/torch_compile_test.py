"""nsameta.torch_ops in functions that torch compiles."""

import shutil

import pytest

torch = pytest.importorskip("torch")

from nsameta import torch_ops
from torch._dynamo.testing import CompileCounterWithBackend
from torch_tensors import int32, kept, request_table

OPS = torch.ops.nsameta
# inductor compiles C++.
BACKENDS = ["aot_eager", *(["inductor"] if shutil.which("c++") or shutil.which("g++") else [])]


@pytest.fixture(autouse=True)
def nothing_compiled_before():
    torch.compiler.reset()


def build_step(seq_lens, extend_seq_lens, pool, table, num_tokens):
    """Allocates some outputs, has others written into views of one buffer, and uses all."""
    step = {"mode": "extend", "topk": 16, "extend_seq_lens": extend_seq_lens, "num_tokens_bound": num_tokens}
    seq_lens = seq_lens + 1
    made = torch_ops.build_metadata(
        seq_lens=seq_lens,
        req_pool_indices=pool,
        req_to_token=table,
        table_width="full",
        outputs=["positions", "page_table_1", "out_slots"],
        **step,
    )
    buffer, other = kept(2, seq_lens.shape[0] + 1), kept(seq_lens.shape[0] + 1)
    written = torch_ops.build_metadata(
        seq_lens=seq_lens,
        out={"cu_seqlens_q": buffer[0], "cu_seqlens_k": None},
        more_outputs=[{"cu_seqlens_k": buffer[1], "cu_seqlens_q": other}],
        **step,
    )
    sums = written["cu_seqlens_q"] + other
    return made["positions"] * 2, made["page_table_1"].sum(0), made["out_slots"], sums, buffer


def schedule_step(seq_lens, extend_seq_lens, pool, table, num_tokens):
    """The other operations, each on what the one before made, some of it in the caller's tensor."""
    made = torch_ops.build_metadata(
        mode="extend",
        topk=16,
        seq_lens=seq_lens,
        extend_seq_lens=extend_seq_lens,
        num_tokens_bound=num_tokens,
        outputs=["token_to_batch_idx", "positions"],
    )
    chosen = torch.stack([made["positions"], torch.zeros_like(made["positions"])], 1)
    tables = {"req_to_token": table, "req_pool_indices": pool, "token_to_batch": made["token_to_batch_idx"]}
    allocated, num_valid = OPS.map_topk_to_slots(chosen, **tables)
    torch_ops.map_topk_to_slots(topk_indices=chosen, slots=chosen, **tables)
    copies = torch.zeros_like(chosen), torch.zeros_like(num_valid)
    torch_ops.copy_metadata([(chosen, copies[0]), (num_valid, copies[1])])
    parts, num_splits = kept(4, 8), torch.empty(seq_lens.shape[0] + 1, dtype=torch.int32)
    torch_ops.mla_schedule(seq_lens=seq_lens, parts=parts, num_splits=num_splits)
    again, _ = OPS.mla_schedule(seq_lens, 4)
    seq_lens.add_(1)
    return allocated, chosen, *copies, parts, num_splits * 2, again[:, :7]


def batch_of(num_requests):
    generator = torch.Generator().manual_seed(num_requests)

    def lengths(least, most):
        return torch.randint(least, most, (num_requests,), generator=generator, dtype=torch.int32)

    extend = lengths(1, 4)
    return (
        extend + lengths(0, 20),
        extend,
        torch.randperm(8, generator=generator)[:num_requests],
        request_table(),
        int(extend.sum()),
    )


@pytest.mark.parametrize("step", (build_step, schedule_step))
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_functions_equal_eager_ones(step, backend):
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend=counter)
    for num_requests in (3, 7, 5):
        arguments = batch_of(num_requests)
        expected_lens = arguments[0].clone()
        expected = step(expected_lens, *arguments[1:])
        for found, value in zip(compiled(*arguments), expected, strict=True):
            torch.testing.assert_close(found, value, rtol=0, atol=0)
        assert torch.equal(arguments[0], expected_lens)
    assert counter.frame_count == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_operators_are_in_the_graph(backend):
    counter = CompileCounterWithBackend(backend)
    torch.compile(schedule_step, fullgraph=True, dynamic=True, backend=counter)(*batch_of(3))
    targets = {str(node.target) for graph in counter.graphs for node in graph.graph.nodes}
    for name in (
        "build_metadata",
        "map_topk_to_slots",
        "map_topk_to_slots_out",
        "copy_metadata",
        "mla_schedule",
        "mla_schedule_out",
    ):
        assert f"nsameta.{name}" in targets


@torch._dynamo.config.patch(capture_scalar_outputs=True)
def test_the_number_of_tokens_may_come_from_the_device():
    def step(seq_lens, extend_seq_lens):
        num_tokens = extend_seq_lens.sum().item()
        return torch_ops.build_metadata(
            mode="extend",
            topk=16,
            seq_lens=seq_lens,
            extend_seq_lens=extend_seq_lens,
            num_tokens_bound=num_tokens,
            outputs=["positions"],
        )["positions"]

    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
    for num_requests in (3, 5):
        lengths = batch_of(num_requests)[:2]
        assert torch.equal(compiled(*lengths), step(*lengths))


def test_out_and_outputs_together():
    def step(seq_lens, sums):
        return torch_ops.build_metadata(
            mode="decode", topk=4, seq_lens=seq_lens, out={"cu_seqlens_k": sums}, outputs=["positions"]
        )

    eager, compiled = kept(3), kept(3)
    expected = step(int32([5, 3]), eager)
    found = torch.compile(step, fullgraph=True, backend="aot_eager")(int32([5, 3]), compiled)
    assert list(found) == list(expected)
    assert torch.equal(found["positions"], expected["positions"])
    assert torch.equal(compiled, int32([0, 5, 8]))


def test_a_compiled_function_raises_when_it_runs():
    compiled = torch.compile(
        lambda lens, sums: torch_ops.build_metadata(mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": sums}),
        fullgraph=True,
        backend="aot_eager",
    )
    with pytest.raises(ValueError, match="cu_seqlens_k"):
        compiled(int32([5, 3, 1]), kept(2))
