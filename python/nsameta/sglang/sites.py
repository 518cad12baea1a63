"""The functions of SGLang that nsameta can stand in for, and where they are."""

import importlib
import inspect
import logging
import pkgutil
from dataclasses import dataclass

log = logging.getLogger("nsameta.sglang")

_DSA = "sglang.kernels.ops.attention.dsa"
_NSA = "sglang.srt.layers.attention.nsa"
BACKEND = "sglang.srt.layers.attention.dsa_backend"
_OURS = "nsameta.sglang"
LEVELS = ("functions", "replay")  # each stands in for what the ones before it do, too


@dataclass(frozen=True)
class Site:
    module: str
    name: str  # within the module: "function" or "Class.method"
    stand_in: str  # dotted name of nsameta's function, which takes the same arguments
    level: str = "functions"  # the least that brings it

    @property
    def target(self):
        return f"{self.module}.{self.name}"

    def load_stand_in(self):
        return pkgutil.resolve_name(self.stand_in)


SITES = (
    *(
        Site(f"{_DSA}.metadata", f"fused_dsa_{mode}_metadata", f"{_OURS}.metadata.fused_dsa_{mode}_metadata")
        for mode in ("decode", "target_verify", "draft_extend")
    ),
    *(
        Site(
            f"{_DSA}.kpool_metadata.{module}",
            f"fused_dsa_{mode}_metadata_kpool",
            f"{_OURS}.metadata.fused_dsa_{mode}_metadata_kpool",
        )
        for module, mode in (("decode", "decode"), ("verify", "target_verify"), ("draft_extend", "draft_extend"))
    ),
    Site("sglang.kernels.ops.attention.pad", "seqlens_expand_triton", f"{_OURS}.metadata.seqlens_expand_triton"),
    Site(
        f"{_DSA}.fused_metadata_copy",
        "fused_metadata_copy_cuda",
        f"{_OURS}.fused_metadata_copy.fused_metadata_copy_cuda",
    ),
    Site(BACKEND, "DeepseekSparseAttnBackend._cal_indexer_k_start_end", f"{_OURS}.prefill.cal_indexer_k_start_end"),
    *(
        Site(f"{_NSA}.triton_metadata_kernel", name, f"{_OURS}.triton_metadata_kernel.{name}")
        for name in (
            "fill_draft_extend_metadata_fused_simple",
            "fill_draft_extend_metadata_inplace",
            "fill_draft_extend_metadata_fused",
        )
    ),
    Site(
        BACKEND,
        "DeepseekSparseAttnBackend._apply_cuda_graph_metadata",
        f"{_OURS}.replay.apply_cuda_graph_metadata",
        "replay",
    ),
    Site(
        BACKEND,
        "DeepseekSparseAttnBackend.init_forward_metadata",
        f"{_OURS}.extend.init_forward_metadata",
        "replay",
    ),
    Site(
        BACKEND,
        "DeepseekSparseAttnMultiStepBackend.init_forward_metadata_out_graph",
        f"{_OURS}.replay.init_forward_metadata_out_graph",
        "replay",
    ),
)


def sites_of(level):
    return [site for site in SITES if LEVELS.index(site.level) <= LEVELS.index(level)]


@dataclass(frozen=True)
class Found:
    """A function of the SGLang that is installed here."""

    site: Site
    owner: object  # the module or class that holds it
    original: object

    @property
    def attribute(self):
        return self.site.name.rpartition(".")[2]


def find(site):
    """The function of a site; None where this SGLang has none, or one that does not load here."""
    *classes, attribute = site.name.split(".")
    try:
        owner = importlib.import_module(site.module)
        for name in classes:
            owner = getattr(owner, name)
        return Found(site, owner, vars(owner)[attribute])
    except Exception as error:  # noqa: BLE001 - importing another's module may raise anything
        log.debug("%s is not there: %s: %s", site.target, type(error).__name__, error)
        return None


def unknown_signature(found):
    """What is wrong with the signature of a function; None where it is the one that nsameta's function has."""
    expected = list(inspect.signature(found.site.load_stand_in()).parameters)
    try:
        actual = list(inspect.signature(found.original).parameters)
    except (TypeError, ValueError) as error:
        return f"{found.site.target} has no signature to compare: {error}"
    if actual == expected:
        return None
    return f"{found.site.target} takes ({', '.join(actual)}), not ({', '.join(expected)})"


def survey(level):
    """(what is there, what is wrong with it): functions of this SGLang, and each signature that is not known."""
    there = [found for found in map(find, sites_of(level)) if found is not None]
    return there, [problem for problem in map(unknown_signature, there) if problem is not None]
