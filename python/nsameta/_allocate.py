"""build_metadata with outputs=[names]: makes the tensors, of the kind of seq_lens, and fills them.

Shapes are the least that nsameta.h allows. Where they depend on lengths, those are read on the host; on a GPU that would
wait for the device, so the caller's bounds are needed there. Sizes may be symbols of a compiler.
"""

import contextlib
import sys

from nsameta import _core

_HOST_DEVICE_TYPES = (1, 3, 11)  # of DLPack: CPU, and memory of the host that CUDA or ROCm reach


class _Extents:
    """How many elements the outputs of one call have."""

    def __init__(self, arguments, num_sms, reads_lengths):
        self._arguments = arguments
        self._mode = arguments.get("mode") or "decode"
        self._num_sms = num_sms
        self._reads_lengths = reads_lengths
        batch = self._number("batch", -1)
        self.batch = arguments["seq_lens"].shape[0] if batch < 0 else batch

    def _number(self, name, default):
        value = self._arguments.get(name)
        return default if value is None else value

    def _lengths(self, name, count, bound):
        tensor = self._arguments[name]
        if not self._reads_lengths:
            raise ValueError(f"{bound}: is needed where no shape may depend on the values of {name}")
        if tensor.__dlpack_device__()[0] not in _HOST_DEVICE_TYPES:
            raise ValueError(f"{bound}: is needed to allocate outputs on a GPU, whose {name} the host does not read")
        return [max((length + 2**31) % 2**32 - 2**31, 0) for length in tensor[:count].tolist()]

    def width(self):
        """Query tokens of every request, or None where they differ."""
        if self._mode == "decode":
            return 1
        return self._number("tokens_per_request", 0) or None

    def tokens(self):
        if self.width() is not None:
            return self.batch * self.width()
        bound = self._number("num_tokens_bound", -1)
        if bound >= 0:
            return bound
        if self._arguments.get("extend_seq_lens") is None:
            raise ValueError("extend_seq_lens: is needed where tokens_per_request is not given")
        if self._arguments.get("static_width"):
            return self.batch * sum(self._lengths("extend_seq_lens", 1, "num_tokens_bound"))
        return sum(self._lengths("extend_seq_lens", self.batch, "num_tokens_bound"))

    def keys(self):
        bound = self._number("max_kv_bound", -1)
        if bound >= 0:
            return self.batch * bound
        added = self.width() if self._mode == "target_verify" else 0
        return sum(length + (added or 0) for length in self._lengths("seq_lens", self.batch, "max_kv_bound"))

    def table_rows(self):
        rows = self._arguments.get("table_rows")
        if rows is None:
            rows = "per_token" if self._mode in ("target_verify", "draft_extend") else "per_request"
        return self.tokens() if rows == "per_token" else self.batch

    def table_width(self):
        width = self._number("max_table_width", -1)
        if width >= 0:
            return width
        if self._arguments.get("req_to_token") is None:
            raise ValueError("req_to_token: is needed for outputs with slots")
        return self._arguments["req_to_token"].shape[1]

    def num_pages(self):
        page_size = self._number("page_size", 1)
        return -(-self.table_width() // max(page_size, 1))

    def schedule_rows(self):
        if self._num_sms is None:
            raise ValueError("num_sms: is needed to allocate paged_mqa_schedule")
        return self._num_sms + 1

    def query_columns(self):
        if self.width() is None:
            raise ValueError("tokens_per_request: is needed to allocate paged_mqa_ctx_lens_2d")
        return self.width()


_SHAPES = {
    "seqlens_expanded": lambda of: (of.tokens(),),
    "nsa_cache_seqlens": lambda of: (of.tokens(),),
    "nsa_cu_seqlens_k": lambda of: (of.tokens() + 1,),
    "cache_seqlens": lambda of: (of.batch,),
    "cu_seqlens_k": lambda of: (of.batch + 1,),
    "cu_seqlens_q": lambda of: (of.batch + 1,),
    "token_to_batch_idx": lambda of: (of.tokens(),),
    "positions": lambda of: (of.tokens(),),
    "topk_indices_offset": lambda of: (of.tokens(),),
    "indexer_ks": lambda of: (of.tokens(),),
    "indexer_ke": lambda of: (of.tokens(),),
    "paged_mqa_ctx_lens_2d": lambda of: (of.batch, of.query_columns()),
    "total_tokens": lambda of: (1,),
    "out_slots": lambda of: (of.tokens(),),
    "page_table_1": lambda of: (of.table_rows(), of.table_width()),
    "real_page_table": lambda of: (of.table_rows(), of.num_pages()),
    "page_table_1_flattened": lambda of: (of.keys(),),
    "paged_mqa_schedule": lambda of: (of.schedule_rows(), 2),
    "topk_plan": lambda of: (of.tokens() + 1, 2),
}


def _empty_like(tensor, shapes):
    """Tensors of int32, by name, of the library and on the device of `tensor`."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(tensor, torch.Tensor):
        return {name: torch.empty(shape, dtype=torch.int32, device=tensor.device) for name, shape in shapes.items()}
    library = sys.modules.get(type(tensor).__module__.partition(".")[0])
    if getattr(library, "__name__", "") not in ("numpy", "cupy"):
        raise TypeError(
            f"seq_lens: outputs like {type(tensor).__name__} cannot be allocated; pass out={{name: tensor}}"
        )
    with tensor.device if library.__name__ == "cupy" else contextlib.nullcontext():
        return {name: library.empty(shape, dtype=library.int32) for name, shape in shapes.items()}


def empty_outputs(arguments, outputs, num_sms, *, reads_lengths=True):
    """Unfilled tensors for `outputs`, by name. reads_lengths: whether shapes may depend on the values of tensors."""
    if isinstance(outputs, str):
        raise TypeError("outputs: must be a list of names, not a str")
    for name in outputs:
        if name not in _SHAPES:
            raise ValueError(f"outputs: there is no output {name!r}")
    if arguments.get("seq_lens") is None:
        raise TypeError("seq_lens: is needed to allocate outputs")
    of = _Extents(arguments, num_sms, reads_lengths)
    return _empty_like(arguments["seq_lens"], {name: _SHAPES[name](of) for name in outputs})


def build_metadata(*, outputs, num_sms=None, out=None, **arguments):
    """nsameta.build_metadata with outputs=; see there. Cells that the operation does not write are undefined."""
    allocated = empty_outputs(arguments, outputs, num_sms)
    return _core.build_metadata(out={**(out or {}), **allocated}, **arguments)
