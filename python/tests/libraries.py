"""The libraries of tensors that are here: how each makes a tensor, and how numpy reads it."""

import numpy as np

try:
    import torch
except ImportError:
    torch = None


class NumpyTensors:
    name = "numpy"

    @staticmethod
    def make(values, dtype=np.int32):
        return np.array(values, dtype)

    @staticmethod
    def read(tensor):
        return tensor


class TorchTensors:
    name = "torch"

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

    @staticmethod
    def make(values, dtype=np.int32):
        return CapsuleOnly(np.array(values, dtype))

    @staticmethod
    def read(tensor):
        return tensor.array


LIBRARIES = [NumpyTensors, CapsuleTensors, *([TorchTensors] if torch else [])]
