"""nsameta.build_metadata against the reference, for every mode and library of tensors."""

import nsameta
import numpy as np
import pytest

from reference import KEPT, TOPK_PLAN_CANDIDATES, Step, mqa_schedule, topk_plan

MODES = ("decode", "target_verify", "draft_extend", "extend")
CONTEXT = 512


def request_table(generator, batch):
    table = generator.permutation(16 * CONTEXT).astype(np.int32).reshape(16, CONTEXT)
    return generator.permutation(16)[:batch].astype(np.int64), table


def batch_of(generator, mode, batch):
    """seq_lens, q, and the arguments that say so."""
    if mode == "decode":
        return generator.integers(1, 300, batch), [1] * batch, {}
    if mode == "target_verify":
        return generator.integers(1, 300, batch), [4] * batch, {"tokens_per_request": 4}
    q = generator.integers(0, 6, batch)
    return q + generator.integers(0, 300, batch), q, {"extend_seq_lens": q}


def build_all(library, mode, dtype, seed):
    """Every output that a batch can have, and what the reference says."""
    generator = np.random.default_rng(seed)
    batch = int(generator.integers(1, 9))
    seq_lens, q, arguments = batch_of(generator, mode, batch)
    pool, table = request_table(generator, batch)
    step = Step(mode, seq_lens, q, topk=64)
    expected = {name: np.array(value) for name, value in step.lengths().items()}
    expected["out_slots"] = np.array(step.out_slots(pool, table))
    expected["page_table_1"] = step.page_table_1(pool, table, CONTEXT, "live_128")
    expected["real_page_table"] = step.real_page_table(pool, table, CONTEXT, "live_128", 64)
    expected["page_table_1_flattened"] = np.array(step.flattened(pool, table))
    per_request = mode in ("decode", "extend")
    schedule_lengths = step.kv if per_request else [max(visible, 0) for visible in step.visible]
    if schedule_lengths:
        expected["paged_mqa_schedule"] = mqa_schedule("v1", schedule_lengths, 7)
    if mode in ("decode", "target_verify"):
        expected["paged_mqa_ctx_lens_2d"] = step.context_lengths(q[0])
    out = {name: library.make(np.full(value.shape, KEPT)) for name, value in expected.items()}
    arguments = {name: v if isinstance(v, int) else library.make(v, dtype) for name, v in arguments.items()}
    returned = nsameta.build_metadata(
        mode=mode,
        topk=64,
        page_size=64,
        seq_lens=library.make(seq_lens, dtype),
        req_pool_indices=library.make(pool, np.int64),
        req_to_token=library.make(table),
        out=out,
        **arguments,
    )
    assert returned is out
    return {name: library.read(tensor) for name, tensor in out.items()}, expected


@pytest.mark.parametrize("dtype", (np.int32, np.int64))
@pytest.mark.parametrize("mode", MODES)
def test_all_outputs_of_a_mode(tensors, mode, dtype):
    for seed in range(10):
        found, expected = build_all(tensors, mode, dtype, seed)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"{name}, seed {seed}")


@pytest.mark.parametrize("table_width", ("live_128", "full", "exact"))
def test_table_widths(tensors, table_width):
    pool, table = request_table(np.random.default_rng(1), 3)
    out = {
        "page_table_1": tensors.make(np.full((3, CONTEXT), KEPT)),
        "real_page_table": tensors.make(np.full((3, CONTEXT // 16), KEPT)),
    }
    nsameta.build_metadata(
        mode="decode",
        topk=64,
        page_size=16,
        table_width=table_width,
        seq_lens=tensors.make([0, 129, 300]),
        req_pool_indices=tensors.make(pool),
        req_to_token=tensors.make(table),
        out=out,
    )
    step = Step("decode", [0, 129, 300], [1, 1, 1], topk=64)
    np.testing.assert_array_equal(
        tensors.read(out["page_table_1"]), step.page_table_1(pool, table, CONTEXT, table_width)
    )
    np.testing.assert_array_equal(
        tensors.read(out["real_page_table"]), step.real_page_table(pool, table, CONTEXT, table_width, 16)
    )


@pytest.mark.parametrize(("tail", "filled"), (("keep", KEPT), ("zero", 0), ("last", 8), ("minus_one", -1)))
def test_tails(tensors, tail, filled):
    out = {"seqlens_expanded": tensors.make([KEPT] * 6)}
    nsameta.build_metadata(
        mode="draft_extend",
        topk=64,
        tail=tail,
        seq_lens=tensors.make([5, 8]),
        extend_seq_lens=tensors.make([2, 1]),
        out=out,
    )
    np.testing.assert_array_equal(tensors.read(out["seqlens_expanded"]), [4, 5, 8, filled, filled, filled])


def test_strided_inputs_are_read_in_place():
    seq_lens = np.array([5, 100, 3, 100], np.int32)[::2]
    table = np.arange(64, dtype=np.int32).reshape(8, 8).T
    out = {"cu_seqlens_k": np.zeros(3, np.int32), "out_slots": np.zeros(2, np.int32)}
    nsameta.build_metadata(
        mode="decode",
        topk=8,
        seq_lens=seq_lens,
        req_pool_indices=np.array([1, 2], np.int64),
        req_to_token=table,
        out=out,
    )
    np.testing.assert_array_equal(out["cu_seqlens_k"], [0, 5, 8])
    np.testing.assert_array_equal(out["out_slots"], [table[1, 4], table[2, 2]])


def test_several_destinations(tensors):
    out = {"cu_seqlens_k": tensors.make([KEPT] * 3)}
    more = [{"cu_seqlens_k": tensors.make([KEPT] * 5)}, {"cache_seqlens": tensors.make([KEPT] * 2)}]
    nsameta.build_metadata(mode="decode", topk=8, seq_lens=tensors.make([5, 3]), out=out, more_outputs=more)
    np.testing.assert_array_equal(tensors.read(out["cu_seqlens_k"]), [0, 5, 8])
    np.testing.assert_array_equal(tensors.read(more[0]["cu_seqlens_k"]), [0, 5, 8, KEPT, KEPT])
    np.testing.assert_array_equal(tensors.read(more[1]["cache_seqlens"]), [5, 3])


def test_num_requests_and_static_width(tensors):
    out = {"cu_seqlens_q": tensors.make([KEPT] * 4), "total_tokens": tensors.make([KEPT])}
    nsameta.build_metadata(
        mode="draft_extend",
        topk=8,
        static_width=True,
        seq_lens=tensors.make([5, 3, 9]),
        extend_seq_lens=tensors.make([2]),
        num_requests=tensors.make([2]),
        out=out,
    )
    np.testing.assert_array_equal(tensors.read(out["cu_seqlens_q"])[:3], [0, 2, 4])
    np.testing.assert_array_equal(tensors.read(out["total_tokens"]), [4])


def test_wide_outputs(tensors):
    out = {name: tensors.make([KEPT] * 3, np.int64) for name in ("positions", "out_slots")}
    nsameta.build_metadata(
        mode="extend",
        topk=64,
        seq_lens=tensors.make([5, 8]),
        extend_seq_lens=tensors.make([2, 1]),
        req_pool_indices=tensors.make([1, 0]),
        req_to_token=tensors.make(np.arange(32).reshape(2, 16)),
        out=out,
    )
    np.testing.assert_array_equal(tensors.read(out["positions"]), [3, 4, 7])
    np.testing.assert_array_equal(tensors.read(out["out_slots"]), [19, 20, 7])


def test_rows_lengths_and_topk_plan_can_be_chosen(tensors):
    pool, table = request_table(np.random.default_rng(2), 2)
    lengths, width = [600, 90], 2
    out = {
        "page_table_1": tensors.make(np.full((2, CONTEXT), KEPT)),
        "paged_mqa_schedule": tensors.make(np.full((5, 2), KEPT)),
        "topk_plan": tensors.make(np.full((5, 2), KEPT)),
    }
    nsameta.build_metadata(
        mode="target_verify",
        topk=64,
        tokens_per_request=width,
        table_rows="per_request",
        max_table_width=100,
        mqa_lengths="kv",
        topk_plan_clusters=0,
        topk_plan_threshold=100,
        seq_lens=tensors.make(lengths),
        req_pool_indices=tensors.make(pool),
        req_to_token=tensors.make(table),
        out=out,
    )
    rows = np.full((2, CONTEXT), KEPT)
    rows[0, :100], rows[1, :100] = table[pool[0], :100], table[pool[1], :100]
    np.testing.assert_array_equal(tensors.read(out["page_table_1"]), rows)
    kv = [length + width for length in lengths]
    np.testing.assert_array_equal(tensors.read(out["paged_mqa_schedule"]), mqa_schedule("v1", kv, 4))
    np.testing.assert_array_equal(tensors.read(out["topk_plan"])[:3], [[100, 2], [0, 601], [1, 602]])


@pytest.mark.parametrize("arch", TOPK_PLAN_CANDIDATES)
def test_topk_plans_at_the_limits_of_each_candidate(tensors, arch):
    for threshold, most in TOPK_PLAN_CANDIDATES[arch].items():
        for count, length in ((most, threshold + 1), (most + 1, threshold + 1), (most + 1, threshold)):
            lengths = [0, *[length] * count, 10**6]
            plan = tensors.make(np.full((len(lengths) + 1, 2), KEPT))
            nsameta.build_metadata(
                mode="decode", topk=64, topk_plan_arch=arch, seq_lens=tensors.make(lengths), out={"topk_plan": plan}
            )
            rows = topk_plan(lengths, arch, 30, -1)
            np.testing.assert_array_equal(tensors.read(plan)[: len(rows)], rows)
            assert (tensors.read(plan)[len(rows) :] == KEPT).all()
