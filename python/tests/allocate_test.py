"""outputs=[names]: tensors of the caller's library, with the least shapes."""

import nsameta
import numpy as np
import pytest
from libraries import LIBRARIES

from reference import Step, mqa_schedule

# Of lengths on a GPU the host knows no sums: cuda_test.py gives bounds.
ALLOCATING = [library for library in LIBRARIES if library.is_on_host and library.name != "capsule"]


@pytest.mark.parametrize("library", ALLOCATING, ids=lambda library: library.name)
def test_every_output_can_be_allocated(library):
    seq_lens, width = [5, 130, 40], 2
    pool, table = np.array([2, 0, 1]), np.random.default_rng(3).permutation(768).astype(np.int32).reshape(3, 256)
    step = Step("target_verify", seq_lens, [width] * 3, topk=16)
    expected = step.lengths()
    expected["out_slots"] = step.out_slots(pool, table)
    expected["page_table_1"] = step.page_table_1(pool, table, 256, "full")
    expected["real_page_table"] = step.real_page_table(pool, table, 256, "full", 64)
    expected["page_table_1_flattened"] = step.flattened(pool, table)
    expected["paged_mqa_schedule"] = mqa_schedule("v1", step.visible, 4)
    expected["paged_mqa_ctx_lens_2d"] = step.context_lengths(width)
    seq_lens = library.make(seq_lens)
    made = nsameta.build_metadata(
        mode="target_verify",
        tokens_per_request=width,
        topk=16,
        page_size=64,
        table_width="full",
        seq_lens=seq_lens,
        req_pool_indices=library.make(pool),
        req_to_token=library.make(table),
        outputs=[*expected, "topk_plan"],
        num_sms=4,
    )
    assert made.pop("topk_plan").shape == (7, 2)
    assert list(made) == list(expected)
    for name, value in expected.items():
        assert type(made[name]) is type(seq_lens)
        np.testing.assert_array_equal(library.read(made[name]), value, err_msg=name)


@pytest.mark.parametrize("library", ALLOCATING, ids=lambda library: library.name)
def test_tokens_are_counted_from_lengths(library):
    made = nsameta.build_metadata(
        mode="extend",
        topk=16,
        seq_lens=library.make([5, 9]),
        extend_seq_lens=library.make([3, 1]),
        outputs=["positions", "page_table_1_flattened"],
        req_pool_indices=library.make([0, 1]),
        req_to_token=library.make(np.arange(32).reshape(2, 16)),
    )
    np.testing.assert_array_equal(library.read(made["positions"]), [2, 3, 4, 8])
    np.testing.assert_array_equal(library.read(made["page_table_1_flattened"]), [*range(5), *range(16, 25)])


def test_the_default_mode_is_decode():
    made = nsameta.build_metadata(topk=4, seq_lens=np.array([5, 3], np.int32), outputs=["positions"])
    np.testing.assert_array_equal(made["positions"], [4, 2])


def test_what_is_missing_is_named():
    lens = np.array([5, 3], np.int32)
    for outputs, name in (
        ("cu_seqlens_k", "outputs"),
        (["nonsense"], "outputs"),
        (["paged_mqa_schedule"], "num_sms"),
        (["page_table_1"], "req_to_token"),
    ):
        with pytest.raises((TypeError, ValueError), match=name):
            nsameta.build_metadata(mode="decode", topk=4, seq_lens=lens, outputs=outputs)
    with pytest.raises(ValueError, match="extend_seq_lens"):
        nsameta.build_metadata(mode="extend", topk=4, seq_lens=lens, outputs=["positions"])
    with pytest.raises(TypeError, match="seq_lens"):
        nsameta.build_metadata(mode="decode", topk=4, outputs=["positions"])
