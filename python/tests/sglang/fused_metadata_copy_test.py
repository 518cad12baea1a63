"""fused_metadata_copy_cuda against copies of slices by numpy."""

import itertools

import numpy as np
import pytest
import torch
from nsameta.sglang.fused_metadata_copy import fused_metadata_copy_cuda

from reference import KEPT

DECODE, VERIFY, DRAFT_EXTEND = 0, 1, 2
BATCH, NEXT_N, WIDTH, PAGES = 3, 2, 40, 5
NAMES = (
    "cache_seqlens",
    "cu_seqlens_k",
    "page_table_1",
    "dsa_cache_seqlens",
    "seqlens_expanded",
    "dsa_cu_seqlens_k",
    "real_page_table",
    "flashmla_num_splits",
    "flashmla_metadata",
)


def shapes(tokens):
    lengths = [(BATCH,), (BATCH + 1,), (tokens, WIDTH), (tokens,), (tokens,), (tokens + 1,), (tokens, PAGES)]
    return [*lengths, (tokens + 1,), (4, 8)]


MODES = [DECODE, VERIFY, DRAFT_EXTEND]
CASES = list(itertools.product(MODES, [False, True], [False, True]))


@pytest.mark.parametrize(("mode", "has_pages", "has_flashmla"), CASES)
def test_copies_what_the_mode_has_and_nothing_else(mode, has_pages, has_flashmla):
    tokens = BATCH if mode == DECODE else BATCH * NEXT_N
    given = {name for name in NAMES if has_flashmla or not name.startswith("flashmla")}
    given -= set() if has_pages else {"real_page_table"}
    copied = given - ({"seqlens_expanded"} if mode == DECODE else set())
    rng = np.random.default_rng(7)
    sources, destinations, expected = {}, {}, {}
    for name, shape in zip(NAMES, shapes(tokens), strict=True):
        # The buffers are those of a larger batch; tables have columns to spare, too.
        spare = [2] * len(shape) if "table" in name else [2] + [0] * (len(shape) - 1)
        values = rng.integers(0, 1 << 30, shape).astype(np.int32)
        expected[name] = np.full(np.add(shape, spare), KEPT, np.int32)
        sources[name] = torch.from_numpy(values) if name in given else None
        destinations[name] = torch.from_numpy(expected[name].copy()) if name in given else None
        if name in copied:
            first = 1 if "cu_seqlens" in name else 0  # the leading 0 of a sum is there already
            expected[name][tuple(slice(first, size) for size in shape)] = values[first:]
    # Each mode has one width; the other argument is what SGLang gives then.
    max_len, max_seqlen_k = (WIDTH, WIDTH) if mode == DECODE else (-1, WIDTH)
    fused_metadata_copy_cuda(*sources.values(), *destinations.values(), mode, BATCH, max_len, max_seqlen_k, tokens)
    for name in given:
        np.testing.assert_array_equal(destinations[name].numpy(), expected[name], err_msg=name)
