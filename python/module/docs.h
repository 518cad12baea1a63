// The docstrings of the operations.
#ifndef NSAMETA_PYTHON_DOCS_H
#define NSAMETA_PYTHON_DOCS_H

namespace nsameta::python {

inline constexpr char kBuildMetadataDoc[] =
    R"(Builds metadata tensors of one step, in one launch. All arguments are keywords; B is the batch, T the tokens.

mode                'decode', 'target_verify', 'draft_extend' or 'extend'
topk                keys that the sparse kernel reads at most; kpool: pool size of the indexer, 1 (default): off
seq_lens            [>= B] int32 or int64: keys of each request
extend_seq_lens     [>= B] int32 or int64: query tokens of each request, unless tokens_per_request says the same for all
req_pool_indices    [>= B] int32 or int64: row of each request in req_to_token; for outputs with slots
req_to_token        [pool, max_context] int32: slot of each key; for outputs with slots
num_requests        [>= 1] int32: the true batch, on the device
batch               requests; -1 (default): the length of seq_lens
static_width        True: extend_seq_lens[0] holds for every request
clamp               whether negative lengths become 0; None (default): as the mode says
tail                'keep' (default), 'zero', 'last', 'minus_one': what per-token outputs hold from T on
page_size           tokens of a page of real_page_table; table_width: 'live_128' (default), 'full' or 'exact'
table_rows          None (default): as the mode says, 'per_request', 'per_token'; max_table_width: columns at most
mqa_variant         'v1', 'apr26', 'sm90_jun26', 'sm100_jun26'; mqa_lengths: 'kv', 'visible'; mqa_next_n
topk_plan_arch      'hopper' or 'blackwell'; topk_plan_clusters, topk_plan_threshold
num_tokens_bound    tokens at most, as far as the host knows; max_kv_bound: keys of a request at most
programmatic_launch True: may begin while the launch before it still runs (CUDA)
out                 {name: tensor}: outputs, written in place; docs/METADATA.md has their names, shapes and values
more_outputs        [{name: tensor}, ...]: further sets that receive the same values
outputs             [name, ...]: instead of out: outputs to allocate as tensors of the kind of seq_lens. num_sms gives the
                    rows of paged_mqa_schedule
context, stream     a Context and a stream as int; None: those of the tensors' device and of the caller

Returns out, or the allocated tensors by name. Raises TypeError or ValueError that names the argument, MemoryError or
RuntimeError; nothing has been written then.)";

inline constexpr char kCopyMetadataDoc[] =
    R"(Copies each source into its destination, all in one launch.

pairs               [(source, destination), ...], at most 64: int32 or int64, 1-D or 2-D, equal in shape and dtype
context, stream     a Context and a stream as int; None: those of the tensors' device and of the caller

Raises TypeError or ValueError that names the argument, MemoryError or RuntimeError; nothing has been written then.)";

inline constexpr char kMapTopkToSlotsDoc[] =
    R"(Turns the key indices that a layer's top-k chose into KV slots. All arguments are keywords.

topk_indices        [T, k] int32; negative ones become -1
offset              [>= T] int32, added to the indices of a token; optional
req_to_token        [pool, max_context] int32 with req_pool_indices [B] int32 or int64 and either token_to_batch
                    [>= T] int32 or cu_seqlens_q [>= B+1] int32; or
page_table          [>= T, width] int32; or
flattened           [n] int32; or none of them: the index is the slot
slots               [T, k] int32, written; may be topk_indices
num_valid           [>= T] int32, written: slots of the row that are not -1; optional
context, stream     a Context and a stream as int; None: those of the tensors' device and of the caller

Raises TypeError or ValueError that names the argument, MemoryError or RuntimeError; nothing has been written then.)";

inline constexpr char kMlaScheduleDoc[] =
    R"(FlashMLA's plan for splitting the keys of a batch over parts of the device. All arguments are keywords.

seq_lens            [>= B] int32 or int64; not read with topk > 0, where every request has topk keys
parts               [num_parts, 8] int32, contiguous, written
num_splits          [>= B+1] int32, written
batch               requests; -1 (default): the length of seq_lens
block_size          keys of a block, 64 by default; fixed_overhead: blocks that starting a request costs, 5 by default
min_keys            True: a request counts at least one key
layout              'tokens', 'blocks' or 'sched_meta' (default)
context, stream     a Context and a stream as int; None: those of the tensors' device and of the caller

Raises TypeError or ValueError that names the argument, MemoryError or RuntimeError; nothing has been written then.)";

}  // namespace nsameta::python

#endif
