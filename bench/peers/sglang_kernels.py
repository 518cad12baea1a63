"""SGLang's own metadata kernels, imported from its wheel's files without running the package."""

import importlib
import sys
import types

from wheels import SGLANG_FILES, Absent, package_root

_PARENTS = (
    "sglang",
    "sglang.kernels",
    "sglang.kernels.ops",
    "sglang.kernels.ops.attention",
    "sglang.kernels.ops.attention.dsa",
    "sglang.kernels.ops.attention.dsa.kpool_metadata",
)


def _stub_parents(root):
    # Packages that are only a search path: their __init__.py import half of the engine.
    for name in _PARENTS:
        module = types.ModuleType(name)
        module.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = module


def load():
    """The functions by name; one that cannot be imported is absent, and the reason is in `failures`."""
    root = package_root("sglang", "sglang", SGLANG_FILES)
    if root is None:
        raise Absent("no SGLang under peers/: see bench/peers/README.md")
    _stub_parents(root)
    functions, failures = {}, {}
    for module_name, names in (
        (
            "dsa.metadata",
            ("fused_dsa_decode_metadata", "fused_dsa_target_verify_metadata", "fused_dsa_draft_extend_metadata"),
        ),
        ("dsa.kpool_metadata.decode", ("fused_dsa_decode_metadata_kpool",)),
        ("dsa.kpool_metadata.verify", ("fused_dsa_target_verify_metadata_kpool",)),
        ("dsa.kpool_metadata.draft_extend", ("fused_dsa_draft_extend_metadata_kpool",)),
        ("pad", ("seqlens_expand_triton",)),
    ):
        try:
            module = importlib.import_module(f"sglang.kernels.ops.attention.{module_name}")
            functions.update({name: getattr(module, name) for name in names})
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is the reason
            failures[module_name] = error
    return functions, failures
