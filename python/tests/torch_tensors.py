"""Small tensors of torch, for the tests of nsameta.torch_ops."""

import torch

from reference import KEPT

CONTEXT = 64


def int32(values):
    return torch.tensor(values, dtype=torch.int32)


def kept(*shape):
    return torch.full(shape, KEPT, dtype=torch.int32)


def request_table(num_rows=8):
    return torch.arange(num_rows * CONTEXT, dtype=torch.int32).reshape(num_rows, CONTEXT)
