"""Our library, and those of its peers that are here."""

import torch

import abi
import bench_cases
import deep_gemm_kernels
import sglang_kernels
from wheels import Absent


class Peers:
    """What could be loaded. `absent` says what is not here, `failed` what is but cannot be used."""

    def __init__(self, device):
        self.device = device
        self.is_gpu = device == "cuda"
        self.absent, self.failed = {}, {}
        self.context = self._try("nsameta", self._load_library)
        self.sglang = self._try("SGLang", self._load_sglang) or {}
        self.deep_gemm = self._try("DeepGEMM", self._load_deep_gemm) if self.is_gpu else None

    def _try(self, name, load):
        try:
            return load()
        except Absent as error:
            self.absent[name] = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises must not end the others
            self.failed[name] = repr(error)
        return None

    def _load_library(self):
        return abi.Context(abi.DEVICE_CUDA if self.is_gpu else abi.DEVICE_CPU)

    def _load_sglang(self):
        functions, failures = sglang_kernels.load()
        for module, error in failures.items():
            self.failed[f"SGLang {module}"] = repr(error)
        return functions

    def _load_deep_gemm(self):
        module = deep_gemm_kernels.load(deep_gemm_kernels.prepare_environment())
        lens = torch.ones((1, 1), dtype=torch.int32, device="cuda")
        try:
            deep_gemm_kernels.schedule(module, lens, bench_cases.NUM_SMS)
        except Exception:
            deep_gemm_kernels.restart_with_nvrtc()  # returns when that was tried already
            raise
        return module

    def stream(self):
        return torch._C._cuda_getCurrentRawStream(0) if self.is_gpu else 0
