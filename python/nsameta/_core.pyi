from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

__version__: str

class Tensor(Protocol):
    """An array of any library that speaks DLPack, such as torch.Tensor or numpy.ndarray."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class DeviceInfo(TypedDict):
    device: str
    name: str
    arch: str
    memory_bytes: int
    warp_width: int
    num_multiprocessors: int

class BackendInfo(TypedDict):
    name: str
    usable: bool
    reason: str
    path: str
    priority: int
    devices: list[DeviceInfo]

class Info(TypedDict):
    version: str
    abi_version: int
    build: str
    backends: list[BackendInfo]

class Fault(TypedDict):
    check: str
    request_idx: int
    value: int

def backends() -> list[BackendInfo]: ...
def info() -> Info: ...

class Context:
    def __init__(self, device: object, backend: str | None = None) -> None: ...
    @property
    def device(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def is_staged(self) -> bool: ...
    @property
    def num_launches(self) -> int: ...
    def fault(self) -> Fault | None: ...
    def clear_fault(self) -> None: ...
    def tunables(self) -> dict[str, int]: ...
    def set_tunable(self, name: str, value: int) -> None: ...
    def synchronize(self, stream: int = 0) -> None: ...

Operation: TypeAlias = Literal["build_metadata", "copy_metadata", "map_topk_to_slots", "mla_schedule"]

class Plan:
    def __init__(self, op: Operation = "build_metadata", *, check: bool = False, **arguments: Any) -> None: ...
    def run(self, batch: int = -1, num_tokens: int = -1, max_kv: int = -1, stream: int | None = None) -> None: ...
    def check_tensors(self) -> None: ...
    def explain(self, batch: int = -1, num_tokens: int = -1, max_kv: int = -1) -> str: ...
    @property
    def op(self) -> Operation: ...
    @property
    def context(self) -> Context: ...

def build_metadata(
    *,
    mode: Literal["decode", "target_verify", "draft_extend", "extend"] | None = None,
    batch: int | None = None,
    tokens_per_request: int | None = None,
    static_width: bool | None = None,
    topk: int | None = None,
    kpool: int | None = None,
    clamp: bool | None = None,
    tail: Literal["keep", "zero", "last", "minus_one"] | None = None,
    page_size: int | None = None,
    table_width: Literal["live_128", "full", "exact"] | None = None,
    table_rows: Literal["per_request", "per_token"] | None = None,
    mqa_variant: Literal["v1", "apr26", "sm90_jun26", "sm100_jun26"] | None = None,
    mqa_lengths: Literal["kv", "visible"] | None = None,
    mqa_next_n: int | None = None,
    topk_plan_arch: Literal["hopper", "blackwell"] | None = None,
    topk_plan_clusters: int | None = None,
    topk_plan_threshold: int | None = None,
    programmatic_launch: bool | None = None,
    max_table_width: int | None = None,
    num_tokens_bound: int | None = None,
    max_kv_bound: int | None = None,
    seq_lens: Tensor | None = None,
    extend_seq_lens: Tensor | None = None,
    num_requests: Tensor | None = None,
    req_pool_indices: Tensor | None = None,
    req_to_token: Tensor | None = None,
    out: dict[str, Any] | None = None,
    more_outputs: Sequence[dict[str, Any]] | None = None,
    outputs: Sequence[str] | None = None,
    num_sms: int | None = None,
    context: Context | None = None,
    stream: int | None = None,
) -> dict[str, Any]: ...
def copy_metadata(
    pairs: Sequence[tuple[Tensor, Tensor]], *, context: Context | None = None, stream: int | None = None
) -> None: ...
def map_topk_to_slots(
    *,
    topk_indices: Tensor,
    slots: Tensor,
    offset: Tensor | None = None,
    req_to_token: Tensor | None = None,
    req_pool_indices: Tensor | None = None,
    token_to_batch: Tensor | None = None,
    cu_seqlens_q: Tensor | None = None,
    page_table: Tensor | None = None,
    flattened: Tensor | None = None,
    num_valid: Tensor | None = None,
    context: Context | None = None,
    stream: int | None = None,
) -> None: ...
def mla_schedule(
    *,
    parts: Tensor,
    num_splits: Tensor,
    seq_lens: Tensor | None = None,
    batch: int | None = None,
    block_size: int | None = None,
    fixed_overhead: int | None = None,
    topk: int | None = None,
    min_keys: bool | None = None,
    layout: Literal["tokens", "blocks", "sched_meta"] | None = None,
    context: Context | None = None,
    stream: int | None = None,
) -> None: ...
