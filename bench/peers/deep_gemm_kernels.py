"""DeepGEMM's schedule kernel, from the wheel of SGLang's fork. It is compiled when it is called: by nvcc, else NVRTC."""

import ctypes
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import torch

from wheels import Absent, package_root


def _cuda_home():
    """A CUDA root with headers: what the environment says, that of nvcc, the usual place, or torch's own."""
    candidates = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH")]
    nvcc = shutil.which("nvcc")
    if nvcc:
        candidates.append(Path(nvcc).resolve().parent.parent)
    candidates += ["/usr/local/cuda", Path(torch.__file__).parents[1] / "nvidia" / "cu13"]
    for root in filter(None, candidates):
        if (Path(root) / "include" / "cuda_runtime.h").is_file():
            return Path(root)
    return None


def prepare_environment():
    home = _cuda_home()
    if home is not None:
        os.environ["CUDA_HOME"] = str(home)
        if not (home / "bin" / "nvcc").is_file():
            os.environ.setdefault("DG_JIT_USE_NVRTC", "1")
    os.environ.setdefault("DG_JIT_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"nsameta-deep-gemm-{os.getuid()}"))
    return home


def _preload_nvrtc(home):
    # The module needs it by its bare name, and torch loads its own only when a program asks for it.
    name = "libnvrtc.so.13"
    folders = [Path(torch.__file__).parents[1] / "nvidia" / "cu13" / "lib"]
    if home is not None:
        folders.append(home / "lib64")
    for candidate in (name, *(str(folder / name) for folder in folders)):
        try:
            ctypes.CDLL(candidate, ctypes.RTLD_GLOBAL)
            return
        except OSError:
            continue


def load(home):
    """The module. Torch must be there first: it loads the other CUDA libraries that the module needs."""
    _preload_nvrtc(home)
    for package, wheel in (("tvm_ffi", "apache_tvm_ffi"), ("deep_gemm", "sgl_deep_gemm")):
        root = package_root(package, wheel)
        if root is not None:
            sys.path.insert(0, str(root))
        elif package == "deep_gemm":
            raise Absent("no deep_gemm under peers/: see bench/peers/README.md")
    return importlib.import_module("deep_gemm")


def schedule(module, lengths, num_sms):
    """[num_sms + 1, 2] for lengths of one or two dimensions, as a torch tensor."""
    made = module.get_paged_mqa_logits_metadata(lengths, 64, num_sms)
    return made if isinstance(made, torch.Tensor) else torch.utils.dlpack.from_dlpack(made)


def restart_with_nvrtc():
    """Runs this program again with the other compiler; returns when that was tried already."""
    if os.environ.get("DG_JIT_USE_NVRTC") == "1":
        return
    os.environ["DG_JIT_USE_NVRTC"] = "1"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.argv])
