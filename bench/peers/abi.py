"""nsameta.h for ctypes: the structs that the comparisons need, and the library behind them."""

import ctypes
import os
from ctypes import POINTER, Structure, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path

ABI_VERSION = 3

DEVICE_CPU, DEVICE_CUDA, DEVICE_ROCM = 1, 2, 10
INT32, INT64 = 0, 1
DECODE, TARGET_VERIFY, DRAFT_EXTEND, EXTEND = range(4)
CLAMP_DEFAULT, CLAMP_OFF, CLAMP_ON = range(3)
TABLE_LIVE_128, TABLE_FULL, TABLE_EXACT = range(3)
MQA_V1, MQA_APR26, MQA_SM90_JUN26, MQA_SM100_JUN26 = range(4)
BUILD_METADATA = 0  # nsameta_op
MQA_LENGTHS_DEFAULT, MQA_LENGTHS_KV, MQA_LENGTHS_VISIBLE = range(3)

_REPOSITORY = Path(__file__).resolve().parents[2]


class Device(Structure):
    _fields_ = [("type", c_int32), ("id", c_int32)]


class Tensor(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("shape", c_int64 * 2),
        ("strides", c_int64 * 2),
        ("ndim", c_int32),
        ("dtype", c_int32),
        ("device", Device),
    ]


class MetadataOutputs(Structure):
    _fields_ = [
        (name, Tensor)
        for name in (
            "seqlens_expanded",
            "nsa_cache_seqlens",
            "nsa_cu_seqlens_k",
            "cache_seqlens",
            "cu_seqlens_k",
            "cu_seqlens_q",
            "token_to_batch_idx",
            "positions",
            "topk_indices_offset",
            "indexer_ks",
            "indexer_ke",
            "paged_mqa_ctx_lens_2d",
            "total_tokens",
            "out_slots",
            "page_table_1",
            "real_page_table",
            "page_table_1_flattened",
            "paged_mqa_schedule",
            "topk_plan",
        )
    ]


class BuildMetadataArgs(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        *(
            (name, c_int32)
            for name in (
                "mode",
                "batch",
                "tokens_per_request",
                "static_width",
                "topk",
                "kpool",
                "clamp",
                "tail",
                "page_size",
                "table_width",
                "table_rows",
                "mqa_variant",
                "mqa_lengths",
                "mqa_next_n",
                "topk_plan_arch",
                "topk_plan_clusters",
                "topk_plan_threshold",
                "num_more_outputs",
                "programmatic_launch",
            )
        ),
        ("max_table_width", c_int64),
        ("num_tokens_bound", c_int64),
        ("max_kv_bound", c_int64),
        ("more_outputs", POINTER(MetadataOutputs)),
        ("seq_lens", Tensor),
        ("extend_seq_lens", Tensor),
        ("num_requests", Tensor),
        ("req_pool_indices", Tensor),
        ("req_to_token", Tensor),
        ("out", MetadataOutputs),
    ]


class Fault(Structure):
    _fields_ = [("check", c_int32), ("request_idx", c_int32), ("value", c_int64)]


class Failure(RuntimeError):
    pass


def library_path():
    """NSAMETA_LIB, a file or the folder of one, or the newest library under build/ and dist/."""
    named = os.environ.get("NSAMETA_LIB")
    if named:
        path = Path(named)
        return path / "libnsameta.so" if path.is_dir() else path
    found = [path for folder in ("build", "dist") for path in (_REPOSITORY / folder).rglob("libnsameta.so")]
    if not found:
        raise Failure("no libnsameta.so under build/ or dist/: build it, or name it in NSAMETA_LIB")
    return max(found, key=lambda path: path.stat().st_mtime)


def _load():
    library = ctypes.CDLL(str(library_path()))
    library.nsameta_abi_version.restype = c_uint32
    library.nsameta_last_error_message.restype = c_char_p
    library.nsameta_context_create.argtypes = [Device, c_char_p, POINTER(c_void_p)]
    library.nsameta_context_destroy.argtypes = [c_void_p]
    library.nsameta_context_destroy.restype = None
    library.nsameta_context_backend.argtypes = [c_void_p]
    library.nsameta_context_backend.restype = c_char_p
    library.nsameta_context_error.argtypes = [c_void_p, POINTER(Fault)]
    library.nsameta_context_clear_error.argtypes = [c_void_p]
    library.nsameta_build_metadata_args_init.argtypes = [POINTER(BuildMetadataArgs)]
    library.nsameta_build_metadata_args_init.restype = None
    library.nsameta_build_metadata.argtypes = [c_void_p, POINTER(BuildMetadataArgs), c_void_p]
    library.nsameta_plan_create.argtypes = [c_void_p, c_int32, c_void_p, POINTER(c_void_p)]
    library.nsameta_plan_run.argtypes = [c_void_p, c_int32, c_int64, c_int64, c_void_p]
    library.nsameta_plan_destroy.argtypes = [c_void_p]
    library.nsameta_plan_destroy.restype = None
    found = library.nsameta_abi_version()
    if found != ABI_VERSION:
        raise Failure(f"{library_path()} has ABI {found}, these structs are those of ABI {ABI_VERSION}")
    return library


class Plan:
    """Args of build_metadata, checked and bound once. Ends before its context."""

    def __init__(self, context, args):
        self._context, self._args = context, args
        self._handle = c_void_p()
        address = ctypes.cast(ctypes.byref(args), c_void_p)
        library = context._library
        context._check(
            library.nsameta_plan_create(context._handle, BUILD_METADATA, address, ctypes.byref(self._handle))
        )
        self._run = library.nsameta_plan_run

    def __del__(self):
        if self._handle:
            self._context._library.nsameta_plan_destroy(self._handle)

    def run(self, stream=0):
        self._context._check(self._run(self._handle, -1, -1, -1, stream or None))


class Context:
    """A context of the library. Tensors are torch's; the stream is the integer handle of a cudaStream_t."""

    def __init__(self, device_type=DEVICE_CUDA, device_id=0, backend=None):
        self._library = _load()
        self._device = Device(device_type, device_id)
        self._handle = c_void_p()
        name = backend.encode() if backend else None
        self._check(self._library.nsameta_context_create(self._device, name, ctypes.byref(self._handle)))

    def close(self):
        self._library.nsameta_context_destroy(self._handle)
        self._handle = c_void_p()

    @property
    def backend(self):
        return self._library.nsameta_context_backend(self._handle).decode()

    def tensor(self, source):
        """View of a torch tensor; None is an absent one."""
        if source is None:
            return Tensor()
        dtypes = {4: INT32, 8: INT64}
        pad = [0] * (2 - source.dim())
        return Tensor(
            source.data_ptr(),
            (c_int64 * 2)(*source.shape, *pad),
            (c_int64 * 2)(*source.stride(), *pad),
            source.dim(),
            dtypes[source.element_size()],
            self._device,
        )

    def build_args(self, outputs, tensors, **scalars):
        """Args with the fields named by the two dictionaries of torch tensors and by the scalars."""
        args = BuildMetadataArgs()
        self._library.nsameta_build_metadata_args_init(ctypes.byref(args))
        if args.struct_size != ctypes.sizeof(args):
            raise Failure(f"nsameta_build_metadata_args has {args.struct_size} bytes, not {ctypes.sizeof(args)}")
        names = {name for name, _ in BuildMetadataArgs._fields_}
        for name, value in scalars.items():
            if name not in names:
                raise AttributeError(name)
            setattr(args, name, value)
        for name, value in tensors.items():
            setattr(args, name, self.tensor(value))
        for name, value in outputs.items():
            setattr(args.out, name, self.tensor(value))
        args.memory = (outputs, tensors)  # lives as long as the addresses in the struct
        return args

    def plan(self, args):
        return Plan(self, args)

    def build_metadata(self, args, stream=0):
        self._check(self._library.nsameta_build_metadata(self._handle, ctypes.byref(args), stream or None))

    def take_fault(self):
        """(check, request_idx, value) of the first fault since the last call, or None."""
        fault = Fault()
        self._check(self._library.nsameta_context_error(self._handle, ctypes.byref(fault)))
        self._check(self._library.nsameta_context_clear_error(self._handle))
        return (fault.check, fault.request_idx, fault.value) if fault.check else None

    def _check(self, status):
        if status != 0:
            raise Failure(self._library.nsameta_last_error_message().decode())
