"""The libraries of tensors that are here: how each makes a tensor, and how numpy reads it."""

import nsameta
import numpy as np

try:
    import torch
except ImportError:
    torch = None

try:
    import cupy
except ImportError:
    cupy = None


class NumpyTensors:
    name = "numpy"
    is_on_host = True

    @staticmethod
    def make(values, dtype=np.int32):
        return np.array(values, dtype)

    @staticmethod
    def read(tensor):
        return tensor


class TorchTensors:
    name = "torch"
    is_on_host = True

    @staticmethod
    def make(values, dtype=np.int32):
        return torch.from_numpy(np.array(values, dtype))

    @staticmethod
    def read(tensor):
        return tensor.numpy()


class CapsuleOnly:
    """A tensor of a library from before DLPack 1.0, which only lends capsules."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__(stream=stream)

    def __getitem__(self, at):
        return self.array[at]

    def __setitem__(self, at, value):
        self.array[at] = value


class CapsuleTensors:
    name = "capsule"
    is_on_host = True

    @staticmethod
    def make(values, dtype=np.int32):
        return CapsuleOnly(np.array(values, dtype))

    @staticmethod
    def read(tensor):
        return tensor.array


class TorchCudaTensors:
    name = "torch_cuda"
    is_on_host = False

    @staticmethod
    def make(values, dtype=np.int32):
        return torch.from_numpy(np.array(values, dtype)).cuda()

    @staticmethod
    def read(tensor):
        return tensor.cpu().numpy()


class CupyTensors:
    name = "cupy"
    is_on_host = False

    @staticmethod
    def make(values, dtype=np.int32):
        return cupy.array(np.array(values, dtype))

    @staticmethod
    def read(tensor):
        return cupy.asnumpy(tensor)


has_cuda = any(backend["name"] == "cuda" and backend["usable"] for backend in nsameta.backends())
has_cuda_torch = has_cuda and torch is not None and torch.cuda.is_available()
LIBRARIES = [NumpyTensors, CapsuleTensors, *([TorchTensors] if torch else [])]
LIBRARIES += [*([TorchCudaTensors] if has_cuda_torch else []), *([CupyTensors] if has_cuda and cupy else [])]
