"""Tests run once for each library of tensors that is here. What hypothesis draws is the same in every run, unless
NSAMETA_TEST_CASES asks for so many cases of each property: then a failure prints the line that draws it again.
"""

import os

import numpy as np
import pytest
from hypothesis import settings

num_cases = os.environ.get("NSAMETA_TEST_CASES")
settings.register_profile(
    "nsameta",
    max_examples=int(num_cases or 60),
    derandomize=num_cases is None,
    print_blob=True,
    database=None,
    deadline=None,
)
settings.load_profile("nsameta")

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


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.name)
def tensors(request):
    return request.param
