"""Tensors within larger ones, so that a write beside them is seen, and inputs that are no contiguous memory."""

import numpy as np

from reference import KEPT

GUARD = 3


class GuardedOutput:
    """A tensor of `shape` with KEPT in all cells and around it. Rows of a strided one lie apart."""

    def __init__(self, library, shape, dtype=np.int32, is_strided=False):
        self._library = library
        self._inner = (slice(GUARD, GUARD + shape[0]),)
        around = [shape[0] + 2 * GUARD, *shape[1:]]
        if is_strided:
            self._inner += (slice(GUARD, GUARD + shape[1]),)
            around[1] += 2 * GUARD
        self._around = library.make(np.full(around, KEPT), dtype)
        self.tensor = self._around[self._inner]

    def assert_holds(self, cells, name):
        expected = np.full(self._around.shape, KEPT, np.int64)
        expected[self._inner] = cells
        np.testing.assert_array_equal(self._library.read(self._around), expected, err_msg=name)

    def assert_untouched(self, name):
        self.assert_holds(np.full(tuple(self.tensor.shape), KEPT), name)


def every_second(library, values):
    """The values, with others between them."""
    among_others = np.full(2 * len(values), 10**9, values.dtype)
    among_others[::2] = values
    return library.make(among_others, values.dtype)[::2]


def padded_rows(library, table):
    """The table, as columns of a wider one."""
    return library.make(np.pad(table, ((0, 0), (2, 5)), constant_values=10**9))[:, 2 : 2 + table.shape[1]]


def transposed(library, table):
    return library.make(np.ascontiguousarray(table.T)).T
