"""Tensors that say where their memory is, by either protocol of DLPack, written down with ctypes.

Their memory is numpy's, so that a backend of the tests can stand in for a GPU.
"""

import ctypes
from typing import ClassVar

CUDA, METAL, ROCM = 2, 8, 10


class View(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("dtype_code", ctypes.c_uint8),
        ("dtype_bits", ctypes.c_uint8),
        ("dtype_lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    _fields_ = [("view", View), ("producer", ctypes.c_void_p), ("release", ctypes.c_void_p)]


ViewOf = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(View))
CurrentStream = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p))


class ExchangeApi(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("older", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("lend", ctypes.c_void_p),
        ("wrap", ctypes.c_void_p),
        ("view", ViewOf),
        ("current_stream", CurrentStream),
    ]


# A capsule keeps the address of its name.
EXCHANGE_API, UNVERSIONED = b"dlpack_exchange_api", b"dltensor"


def new_capsule(address, name):
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(address, name, None)


class Tensor:
    """Memory of `array` from element `offset` on, said to be on a device."""

    def __init__(self, array, device=(CUDA, 0), offset=0):
        self.array, self.device, self._offset_bytes = array, device, offset * array.itemsize
        self._shape = (ctypes.c_int64 * array.ndim)(array.shape[0] - offset, *array.shape[1:])
        self._strides = (ctypes.c_int64 * array.ndim)(*(stride // array.itemsize for stride in array.strides))

    def view(self, strides=True):
        bits = self.array.itemsize * 8
        steps = self._strides if strides else None
        dtype = (0, bits, 1)
        address = self.array.ctypes.data
        return View(address, *self.device, self.array.ndim, *dtype, self._shape, steps, self._offset_bytes)


class CapsuleTensor(Tensor):
    """By __dlpack__, from before DLPack 1.0. Remembers what it was asked for."""

    def __init__(self, array, device=(CUDA, 0), offset=0, strides=True):
        super().__init__(array, device, offset)
        self.asked = []
        self._managed = Managed(self.view(strides))

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, *, stream=None):
        self.asked.append(stream)
        return new_capsule(ctypes.addressof(self._managed), UNVERSIONED)


class ExchangeTensor(Tensor):
    """By the C exchange API."""

    stream: ClassVar = None  # the current one
    streams_asked: ClassVar = []


def _view(tensor, out):
    out[0] = tensor.view()
    return 0


def _current_stream(device_type, device_id, out):
    ExchangeTensor.streams_asked.append((device_type, device_id))
    out[0] = ExchangeTensor.stream
    return 0


_api = ExchangeApi(1, 3, None, None, None, None, ViewOf(_view), CurrentStream(_current_stream))
_newer = ExchangeApi(2, 0, ctypes.addressof(_api), None, None, None, ViewOf(), CurrentStream())
# As a producer of version 2 that still offers version 1.
ExchangeTensor.__dlpack_c_exchange_api__ = new_capsule(ctypes.addressof(_newer), EXCHANGE_API)
