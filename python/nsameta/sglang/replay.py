"""Stand-ins for the two methods by which SGLang 0.5.23 prepares the replay of a CUDA graph: one launch of a bound plan.

What they do not build, as a plan that was refused says in the log, they leave to SGLang's method before anything is
written.
"""

import operator
import sys

import nsameta
from nsameta.sglang import probe
from nsameta.sglang.sites import BACKEND, log

MAX_BACKENDS = 8  # sets of outputs that one build fills

_buffers = operator.attrgetter(
    "cache_seqlens_int32",
    "cu_seqlens_k",
    "page_table_1",
    "real_page_table",
    "dsa_cache_seqlens_int32",
    "dsa_cu_seqlens_k",
    "dsa_seqlens_expanded",
    "paged_mqa_ctx_lens_2d",
    "paged_mqa_schedule_metadata",
    "topk_v2_plan",
    "flashmla_metadata",
)


class Unsupported(Exception):
    """A replay that is left to SGLang, and why."""


class ReplayMetadata:
    """One plan that fills the DSAMetadata of a batch size in one launch: of one backend, or of several with equal values.

    It keeps the buffers alive, and the inputs of the last run; inputs elsewhere are bound anew.

    backends    SGLang's, each with a DSAMetadata of `bs` requests in decode_cuda_graph_metadata
    mode        'decode', 'target_verify', 'draft_extend'
    Raises Unsupported for what it does not build, and what nsameta.Plan raises.
    """

    def __init__(self, backends, bs, mode, seq_lens, req_pool_indices):
        first = backends[0]
        metadatas = [backend.decode_cuda_graph_metadata[bs] for backend in backends]
        width = 1 if mode == "decode" else first.speculative_num_draft_tokens
        for backend, metadata in zip(backends, metadatas, strict=True):
            _check_tables(backend, metadata)
            if _common(backend, metadata) != _common(first, metadatas[0]):
                raise Unsupported("the backends differ")
        self.num_tokens = bs * width
        self._arguments = {
            "mode": mode,
            "batch": bs,
            "tokens_per_request": width,
            "topk": first.dsa_index_topk,
            "kpool": first.dsa_index_kpool,
            "page_size": first.physical_page_size,
            "max_table_width": first._graph_page_table_width(metadatas[0]),
            "req_to_token": first.req_to_token,
        }
        sets = [_lengths_and_tables(metadata, mode) for metadata in metadatas]
        if sys.modules[BACKEND].is_cuda():
            self._add_schedule(metadatas, sets)
            self._add_topk_plan(metadatas, sets)
        self._arguments["out"], *self._arguments["more_outputs"] = sets
        self._bind(seq_lens, req_pool_indices)

    def run(self, seq_lens, req_pool_indices):
        """Fills the buffers for the first `bs` requests of the inputs.

        Without a bound of the lengths: the largest of SGLang's lengths on the host costs more there than it saves.
        """
        if self._seq_lens_are != _place(seq_lens) or self._pool_is != _place(req_pool_indices):
            self._bind(seq_lens, req_pool_indices)
        self._run()

    def _bind(self, seq_lens, req_pool_indices):
        self._run = nsameta.Plan(seq_lens=seq_lens, req_pool_indices=req_pool_indices, **self._arguments).run
        self._seq_lens_are, self._pool_is = _place(seq_lens), _place(req_pool_indices)

    def _add_schedule(self, metadatas, sets):
        """The lengths of the logits kernel and its schedule, by the rule of this DeepGEMM."""
        step = {name: self._arguments[name] for name in ("mode", "batch", "tokens_per_request")}
        of_request = (step["batch"], step["tokens_per_request"])
        is_by_request = step["mode"] == "target_verify" and of_request[1] >= 2
        is_by_request &= getattr(metadatas[0].paged_mqa_ctx_lens_2d, "shape", None) == of_request
        step["mqa_lengths"] = "kv" if is_by_request or step["mode"] == "decode" else "visible"
        step["mqa_next_n"] = of_request[1] if is_by_request else 1
        for metadata, out in zip(metadatas, sets, strict=True):
            out["paged_mqa_schedule"] = metadata.paged_mqa_schedule_metadata
            lengths = metadata.paged_mqa_ctx_lens_2d
            if out["paged_mqa_schedule"] is None or lengths is None:
                raise Unsupported("there is no schedule yet")
            if is_by_request:
                out["paged_mqa_ctx_lens_2d"] = lengths
            elif lengths.shape != (self.num_tokens, 1) or _is_apart(lengths, metadata.dsa_seqlens_expanded):
                raise Unsupported(f"paged_mqa_ctx_lens_2d of shape {tuple(lengths.shape)} is not a view of the lengths")
        module = sys.modules[BACKEND]
        variant = probe.schedule_variant(
            module.resolve_paged_mqa_logits_metadata_fn(),
            module.resolve_num_sms(),
            metadatas[0].paged_mqa_schedule_metadata,
            step,
        )
        if variant is None:
            raise Unsupported("its schedule follows a rule that nsameta does not know")
        self._arguments |= {**step, "mqa_variant": variant}

    def _add_topk_plan(self, metadatas, sets):
        plans = [metadata.topk_v2_plan for metadata in metadatas]
        if all(plan is None for plan in plans):
            return
        arch = probe.topk_plan_arch(self.num_tokens, metadatas[0].cu_seqlens_k.device)
        if arch is None:
            raise Unsupported("its top-k plan follows a rule that nsameta does not know")
        if arch:  # SGLang leaves the plan alone otherwise
            self._arguments |= {"topk_plan_arch": arch, "topk_plan_clusters": 0}
            for out, plan in zip(sets, plans, strict=True):
                out["topk_plan"] = plan


def _check_tables(backend, metadata):
    module = sys.modules[BACKEND]
    if not (module.is_cuda() or module._is_hip):
        raise Unsupported("SGLang runs on neither CUDA nor HIP")
    if backend.dsa_index_kpool > 1 and not backend.experimental_kpool_metadata_fusion:
        raise Unsupported("its metadata with pools is not fused")
    if backend.dsa_index_topk is None or backend.physical_page_size != metadata.page_size:
        raise Unsupported("top-k or page size do not fit the metadata")
    if backend.physical_page_size == 1 and metadata.real_page_table is not metadata.page_table_1:
        raise Unsupported("pages of one token have a table of their own")
    if backend.dsa_decode_impl == "flashmla_kv" and metadata.flashmla_metadata is None:
        raise Unsupported("FlashMLA has no schedule yet")


def _common(backend, metadata):
    """What backends that one build serves have in common."""
    return (
        backend.dsa_index_topk,
        backend.dsa_index_kpool,
        backend.physical_page_size,
        backend.dsa_decode_impl,
        backend.req_to_token.data_ptr(),
        backend._graph_page_table_width(metadata),
    )


def _lengths_and_tables(metadata, mode):
    out = {
        "cache_seqlens": metadata.cache_seqlens_int32,
        "cu_seqlens_k": metadata.cu_seqlens_k,
        "page_table_1": metadata.page_table_1,
        "nsa_cache_seqlens": metadata.dsa_cache_seqlens_int32,
        "nsa_cu_seqlens_k": metadata.dsa_cu_seqlens_k,
        "real_page_table": metadata.real_page_table if metadata.page_size > 1 else None,
    }
    if mode != "decode":
        out["seqlens_expanded"] = metadata.dsa_seqlens_expanded
    elif _is_apart(metadata.dsa_seqlens_expanded, metadata.cache_seqlens_int32):
        raise Unsupported("the lengths of a decode step are there twice")
    return out


def _is_apart(tensor, other):
    return tensor.data_ptr() != other.data_ptr()


def _place(tensor):
    """Equal for a view made anew."""
    return tensor.data_ptr(), tensor.dtype, tensor.stride()


def _replay(owner, backends, bs, mode, seq_lens, req_pool_indices):
    """The ReplayMetadata of these backends, made anew when a tensor of theirs is another one; None: refused."""
    of_owner = vars(owner).setdefault("_nsameta_replays", {})
    key = bs, mode, backends[0].speculative_num_draft_tokens
    made_for = []
    for backend in backends:
        made_for += (backend.req_to_token, *_buffers(backend.decode_cuda_graph_metadata[bs]))
    known = of_owner.get(key)
    if known is not None and all(map(operator.is_, known[0], made_for)):
        return known[1]
    if probe.is_capturing(seq_lens.device):
        return None
    of_owner[key] = (made_for, None)  # stays if there is an error below, which is raised once
    try:
        made = ReplayMetadata(backends, bs, mode, seq_lens, req_pool_indices)
    except Unsupported as reason:
        log.info("SGLang prepares %s graphs of %d requests itself: %s", mode, bs, reason)
        return None
    of_owner[key] = (made_for, made)
    return made


def _fill(replay, backends, bs, seq_lens, req_pool_indices):
    """The launch, and what SGLang does beside it: its choice of a prefill, FlashMLA's schedule, what is current."""
    for backend in backends:
        backend.set_dsa_prefill_impl(forward_batch=None)
    replay.run(seq_lens, req_pool_indices)
    if backends[0].dsa_decode_impl == "flashmla_kv":
        _fill_flashmla(replay, backends, bs)
    for backend in backends:
        backend.forward_metadata = backend.decode_cuda_graph_metadata[bs]


def _fill_flashmla(replay, backends, bs):
    """By SGLang's own function, once for all backends."""
    metadatas = [backend.decode_cuda_graph_metadata[bs] for backend in backends]
    lengths = metadatas[0].dsa_cache_seqlens_int32[: replay.num_tokens]
    fresh = backends[0]._compute_flashmla_metadata(cache_seqlens=lengths, seq_len_q=1)
    for metadata in metadatas:
        metadata.flashmla_metadata.slice(slice(0, replay.num_tokens + 1)).copy_(fresh)


def _mode(forward_mode):
    if forward_mode.is_decode_or_idle():
        return "decode"
    if forward_mode.is_target_verify():
        return "target_verify"
    return "draft_extend" if forward_mode.is_draft_extend_v2() else None


def apply_cuda_graph_metadata(
    self,
    bs,
    req_pool_indices,
    seq_lens,
    seq_lens_cpu,
    forward_mode,
    spec_info,
    out_cache_loc=None,
    actual_forward_mode=None,
):
    """Drop-in for DeepseekSparseAttnBackend._apply_cuda_graph_metadata of a batch size that has its buffers."""
    mode = _mode(forward_mode)
    if mode is None or bs not in self.decode_cuda_graph_metadata:
        return NotImplemented
    backends = (self,)
    replay = _replay(self, backends, bs, mode, seq_lens, req_pool_indices)
    if replay is None:
        return NotImplemented
    _fill(replay, backends, bs, seq_lens, req_pool_indices)
    if self.dsa_index_kpool > 1:
        accepted = getattr(spec_info, "num_accept_tokens", None) if mode == "draft_extend" else None
        self._update_kpool_metadata_replay(
            self.forward_metadata,
            seq_lens[:bs],
            req_pool_indices[:bs],
            forward_mode,
            effective_n_per_batch=None if accepted is None else accepted[:bs],
        )
    return None


def init_forward_metadata_out_graph(self, forward_batch, in_capture=False):
    """Drop-in for DeepseekSparseAttnMultiStepBackend.init_forward_metadata_out_graph: all draft backends at once."""
    backends = self.attn_backends[: self.speculative_num_steps - 1]
    bs = forward_batch.batch_size
    if in_capture or not 1 <= len(backends) <= MAX_BACKENDS:
        return NotImplemented
    if any(backend.dsa_index_kpool > 1 or bs not in backend.decode_cuda_graph_metadata for backend in backends):
        return NotImplemented
    seq_lens, req_pool_indices = forward_batch.seq_lens, forward_batch.req_pool_indices
    replay = _replay(self, backends, bs, "decode", seq_lens, req_pool_indices)
    if replay is None:
        return NotImplemented
    _fill(replay, backends, bs, seq_lens, req_pool_indices)
    return None
