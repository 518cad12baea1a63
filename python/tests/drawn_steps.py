"""Calls of build_metadata that hypothesis draws, with what each output has to hold afterwards."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from reference import KEPT, Step, int32, mqa_schedule, topk_plan, with_tail

MODES = ("decode", "target_verify", "draft_extend", "extend")
PER_TOKEN = (
    "seqlens_expanded",
    "nsa_cache_seqlens",
    "nsa_cu_seqlens_k",
    "token_to_batch_idx",
    "positions",
    "topk_indices_offset",
    "indexer_ks",
    "indexer_ke",
    "out_slots",
)
PER_REQUEST = ("cache_seqlens", "cu_seqlens_k", "cu_seqlens_q", "paged_mqa_ctx_lens_2d")
TABLES = ("page_table_1", "real_page_table", "page_table_1_flattened")
WITH_SLOTS = ("out_slots", *TABLES)
OUTPUTS = (*PER_TOKEN, *PER_REQUEST, *TABLES, "total_tokens", "paged_mqa_schedule", "topk_plan")
INPUTS = ("seq_lens", "extend_seq_lens", "req_pool_indices", "req_to_token")
CONTEXT, POOL_ROWS = 150, 5


@dataclass
class Layout:
    """Of an input with one element for each request, or of the table."""

    is_wide: bool  # int64
    high_word: int  # of int64 elements, which counts for nothing
    is_contiguous: bool


@dataclass
class DrawnStep:
    """Values of the inputs, the other arguments, and the outputs with their shapes and dtypes."""

    mode: str
    seq_lens: list[int]
    q: list[int]
    extend_seq_lens: list[int] | None
    pool: list[int]
    row_ends: list[int]  # of the table; from there on a row holds -1, as in engines
    num_requests: int | None
    numbers: dict[str, Any]  # arguments that are not tensors, without the mode
    num_sms: int
    layouts: dict[str, Layout]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    wide: frozenset[str] = frozenset()  # outputs of int64

    @property
    def batch(self):
        return self.numbers.get("batch", len(self.seq_lens))

    @property
    def table(self):
        table = np.random.default_rng(7).integers(0, 10**6, (POOL_ROWS, CONTEXT)).astype(np.int32)
        return np.where(np.arange(CONTEXT) < np.array(self.row_ends)[:, None], table, np.int32(-1))

    @property
    def schedules_requests(self):
        """Or else tokens, each of which is one length."""
        return self.number("mqa_lengths", "kv" if self.mode in ("decode", "extend") else "visible") == "kv"

    def number(self, name, default):
        return self.numbers.get(name, default)

    def reference(self, batch):
        exist = batch if self.num_requests is None else min(max(self.num_requests, 0), batch)
        kpool, clamp, rows = self.number("kpool", 1), self.number("clamp", None), self.number("table_rows", None)
        return Step(self.mode, self.seq_lens[:exist], self.q[:exist], self.numbers["topk"], kpool, clamp, rows)

    def expected(self, name, shape, batch):
        """The cells of an output that held KEPT before a run for the first `batch` requests."""
        step = self.reference(batch)
        if name in TABLES or name in ("paged_mqa_schedule", "topk_plan"):
            cells = np.full(shape, KEPT, np.int64)
            written = np.array(self._written(step, name, shape))
            cells[tuple(slice(length) for length in written.shape)] = written
            return cells
        if name == "paged_mqa_ctx_lens_2d":
            values = step.context_lengths(shape[1])
        elif name == "out_slots":
            values = step.out_slots(self.pool, self.table)
        else:
            values = step.lengths()[name]
        end = len(values)
        if name in PER_TOKEN and step.tokens:
            end = shape[0]
        elif name in PER_REQUEST and self.num_requests is not None:
            end += batch - len(step.kv)
        return with_tail(values, end, shape[0], self.numbers["tail"])

    def _written(self, step, name, shape):
        pool, table = self.pool, self.table
        policy, page_size = self.number("table_width", "live_128"), self.number("page_size", 1)
        max_width = self.number("max_table_width", None)
        if name == "page_table_1":
            return step.page_table_1(pool, table, shape[1], policy, max_width)
        if name == "real_page_table":
            width = self.shapes.get("page_table_1", (0, shape[1] * page_size))[1]
            return step.real_page_table(pool, table, width, policy, page_size, max_width)
        if name == "page_table_1_flattened":
            return step.flattened(pool, table)
        if name == "topk_plan":
            arch, clusters = self.number("topk_plan_arch", "hopper"), self.number("topk_plan_clusters", 30)
            return topk_plan(step.visible, arch, clusters, self.number("topk_plan_threshold", -1))
        lengths, query_tokens = (
            (step.kv, step.q) if self.schedules_requests else (step.visible, [1] * len(step.visible))
        )
        variant, next_n = self.number("mqa_variant", "v1"), self.number("mqa_next_n", 1)
        return mqa_schedule(variant, lengths, self.num_sms, next_n, query_tokens)


def optional(draw, numbers, **strategies):
    """Gives each number in half of the cases, so that defaults are seen as well."""
    for name, strategy in strategies.items():
        if draw(st.booleans()):
            numbers[name] = draw(strategy)


@st.composite
def widths(draw, mode, batch, numbers):
    """q of each request, and extend_seq_lens if that says so."""
    if mode == "decode":
        optional(draw, numbers, tokens_per_request=st.just(1))
        return [1] * batch, None
    kind = "constant" if mode == "target_verify" else draw(st.sampled_from(("tensor", "constant", "static")))
    if kind == "constant":
        numbers["tokens_per_request"] = width = draw(st.integers(1, 4))
        return [width] * batch, None
    if kind == "static":
        numbers["static_width"] = True
        width = draw(st.integers(-1, 4))
        return [width] * batch, [width]
    q = draw(st.lists(st.integers(-1, 5), min_size=batch, max_size=batch))
    return q, q


def shape_of(draw, name, step, width):
    """The least shape of an output, or more."""
    tokens, batch, more = sum(max(int32(q), 0) for q in step.q[: step.batch]), step.batch, draw(st.integers(0, 3))
    if name in ("nsa_cu_seqlens_k", "topk_plan"):
        rows = tokens + 1 + more
        return (rows, 2) if name == "topk_plan" else (rows,)
    if name in PER_TOKEN:
        return (tokens + more,)
    if name == "paged_mqa_ctx_lens_2d":
        columns = 1 if step.mode == "decode" else step.number("tokens_per_request", draw(st.integers(1, 3)))
        return (batch + more, columns)
    if name in PER_REQUEST:
        return (batch + (name != "cache_seqlens") + more,)
    if name == "total_tokens":
        return (1 + more,)
    if name == "paged_mqa_schedule":
        return (step.num_sms + 1, 2)
    if name == "page_table_1_flattened":
        added = step.number("tokens_per_request", 0) if step.mode == "target_verify" else 0
        return (sum(max(int32(length) + added, 0) for length in step.seq_lens) + more,)
    rows = len(step.reference(batch).rows) if step.num_requests is None else max(tokens, batch)
    columns = width if name == "page_table_1" else -(-width // step.number("page_size", 1))
    return (rows + more, columns)


@st.composite
def drawn_steps(draw):
    mode, num_lens = draw(st.sampled_from(MODES)), draw(st.integers(0, 6))
    numbers = {
        "topk": draw(st.sampled_from((1, 3, 64, 2048))),
        "tail": draw(st.sampled_from(("keep", "zero", "last", "minus_one"))),
    }
    some = st.lists(st.sampled_from(OUTPUTS), unique=True, min_size=1)
    names = draw(st.one_of(some, st.just(OUTPUTS).map(list), st.just([*PER_TOKEN, *PER_REQUEST, "topk_plan"])))
    lengths = st.one_of(st.integers(0, 3), st.integers(-2, CONTEXT + 10), st.integers(CONTEXT - 1, CONTEXT + 2))
    if "page_table_1_flattened" not in names:
        lengths = st.one_of(lengths, st.integers(250, 260), st.integers(60000, 600000))
    seq_lens = draw(st.lists(lengths, min_size=num_lens, max_size=num_lens))
    if num_lens > 0:
        optional(draw, numbers, batch=st.integers(0, num_lens))
    q, extend_seq_lens = draw(widths(mode, num_lens, numbers))
    optional(
        draw,
        numbers,
        kpool=st.sampled_from((1, 4)),
        clamp=st.booleans(),
        page_size=st.sampled_from((1, 16, 64)),
        table_width=st.sampled_from(("live_128", "full", "exact")),
        table_rows=st.sampled_from(("per_request", "per_token")),
        max_table_width=st.integers(0, CONTEXT),
        mqa_variant=st.sampled_from(("v1", "apr26", "sm90_jun26", "sm100_jun26")),
        mqa_lengths=st.sampled_from(("kv", "visible")),
        mqa_next_n=st.integers(1, 5),
        topk_plan_arch=st.sampled_from(("hopper", "blackwell")),
        topk_plan_clusters=st.integers(0, 3),
        topk_plan_threshold=st.sampled_from((0, 3, 100)),
        num_tokens_bound=st.integers(0, 30),
        max_kv_bound=st.integers(0, 200),
        programmatic_launch=st.booleans(),
    )
    rows = st.one_of(st.integers(0, POOL_ROWS - 1), st.sampled_from((-1, POOL_ROWS, 10**6)))
    step = DrawnStep(
        mode,
        seq_lens,
        q,
        extend_seq_lens,
        draw(st.lists(rows, min_size=num_lens, max_size=num_lens)),
        draw(st.lists(st.integers(0, CONTEXT), min_size=POOL_ROWS, max_size=POOL_ROWS)),
        draw(st.one_of(st.none(), st.integers(-1, num_lens + 1))),
        numbers,
        draw(st.integers(1, 9)),
        draw(
            st.fixed_dictionaries(
                dict.fromkeys(INPUTS, st.builds(Layout, st.booleans(), st.integers(-1, 1), st.booleans()))
            )
        ),
    )
    if step.number("page_size", 1) == 1 and "real_page_table" in names:
        names.remove("real_page_table")
    if not step.schedules_requests:
        numbers.pop("mqa_next_n", None)
    width = draw(st.integers(1, CONTEXT + 20))
    step.shapes = {name: shape_of(draw, name, step, width) for name in names}
    step.wide = frozenset(draw(st.sets(st.sampled_from(("positions", "out_slots")))))
    return step
