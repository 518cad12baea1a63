"""Builds the integer metadata of sparse attention (NSA/DSA), on the device that holds the tensors, in one launch.

Tensors are those of any library that speaks DLPack: torch, numpy, CuPy. None of them is needed to import this package.
"""

from nsameta._core import (
    Context,
    Plan,
    __version__,
    backends,
    build_metadata,
    copy_metadata,
    info,
    map_topk_to_slots,
    mla_schedule,
)

__all__ = [
    "Context",
    "Plan",
    "__version__",
    "backends",
    "build_metadata",
    "copy_metadata",
    "info",
    "map_topk_to_slots",
    "mla_schedule",
]
