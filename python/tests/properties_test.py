"""What holds of every call of build_metadata, drawn by hypothesis: its cells are those of the reference, and no others
are written, in one shot, by plan, and allocated.
"""

import nsameta
import numpy as np
from drawn_steps import OUTPUTS, TABLES, drawn_steps
from guarded import GuardedOutput, every_second, padded_rows, transposed
from hypothesis import given
from hypothesis import strategies as st
from libraries import LIBRARIES
from nsameta._allocate import _SHAPES

from reference import KEPT

SLICED = [library for library in LIBRARIES if library.name != "capsule"]
HIGH_WORD = 2**32


def vector(library, values, layout, has_high_word=True):
    dtype = np.int64 if layout.is_wide else np.int32
    high_word = layout.high_word * HIGH_WORD if layout.is_wide and has_high_word else 0
    values = np.array([value + high_word for value in values], dtype)
    return library.make(values, dtype) if layout.is_contiguous else every_second(library, values)


def inputs(library, step):
    layouts, table = step.layouts, step.layouts["req_to_token"]
    tensors = {
        "seq_lens": vector(library, step.seq_lens, layouts["seq_lens"]),
        "req_pool_indices": vector(library, step.pool, layouts["req_pool_indices"], has_high_word=False),
    }
    if table.is_contiguous:
        tensors["req_to_token"] = library.make(step.table)
    else:
        tensors["req_to_token"] = (transposed if table.is_wide else padded_rows)(library, step.table)
    if step.extend_seq_lens is not None:
        tensors["extend_seq_lens"] = vector(library, step.extend_seq_lens, layouts["extend_seq_lens"])
    if step.num_requests is not None:
        tensors["num_requests"] = library.make([step.num_requests])
    return {"mode": step.mode, **step.numbers, **tensors}


def guarded_outputs(library, step, names):
    return {
        name: GuardedOutput(
            library,
            step.shapes[name],
            np.int64 if name in step.wide else np.int32,
            is_strided=name in ("page_table_1", "real_page_table", "paged_mqa_ctx_lens_2d"),
        )
        for name in names
    }


def tensors_of(outputs):
    return {name: output.tensor for name, output in outputs.items()}


def assert_hold(outputs, step, batch):
    for name, output in outputs.items():
        output.assert_holds(step.expected(name, step.shapes[name], batch), name)


@given(data=st.data(), step=drawn_steps(), library=st.sampled_from(SLICED))
def test_outputs_are_those_of_the_reference(data, step, library):
    call = inputs(library, step)
    more = data.draw(st.lists(st.sampled_from(sorted(step.shapes)), unique=True)) if step.shapes else []
    sets = [guarded_outputs(library, step, names) for names in (step.shapes, more)]
    nsameta.build_metadata(**call, out=tensors_of(sets[0]), more_outputs=[tensors_of(sets[1])])
    for outputs in sets:
        assert_hold(outputs, step, step.batch)


@given(data=st.data(), step=drawn_steps(), library=st.sampled_from(SLICED))
def test_a_plan_does_what_a_call_does_for_as_many_requests(data, step, library):
    call = inputs(library, step)
    outputs = guarded_outputs(library, step, step.shapes)
    plan = nsameta.Plan(**call, out=tensors_of(outputs), check=data.draw(st.booleans()))
    for output in outputs.values():
        output.assert_untouched("before a run")
    batch = data.draw(st.integers(0, step.batch))
    bounds = [data.draw(st.sampled_from((-1, bound))) for bound in (len(step.reference(batch).tokens), 10**6)]
    plan.run(batch, *bounds)
    assert_hold(outputs, step, batch)
    plan.run(batch)
    assert_hold(outputs, step, batch)
    fresh = guarded_outputs(library, step, step.shapes)
    nsameta.build_metadata(**{**call, "batch": batch}, out=tensors_of(fresh))
    assert_hold(fresh, step, batch)


@given(step=drawn_steps(), library=st.sampled_from([library for library in SLICED if library.is_on_host]))
def test_allocated_outputs_hold_the_same(step, library):
    call = inputs(library, step)
    for bound in ("num_tokens_bound", "max_kv_bound"):
        call.pop(bound, None)
    if step.mode != "decode" and "tokens_per_request" not in call:
        step.shapes.pop("paged_mqa_ctx_lens_2d", None)  # whose columns nothing tells
    made = nsameta.build_metadata(**call, outputs=list(step.shapes), num_sms=step.num_sms)
    assert list(made) == list(step.shapes)
    step.shapes = {name: tuple(tensor.shape) for name, tensor in made.items()}
    for name, tensor in made.items():
        cells = library.read(tensor)
        assert cells.dtype == np.int32
        expected = step.expected(name, cells.shape, step.batch)
        written = expected != KEPT
        np.testing.assert_array_equal(cells[written], expected[written], err_msg=name)


def test_every_output_is_drawn():
    outputs = set(_SHAPES)
    assert set(OUTPUTS) == outputs
    assert set(TABLES) < outputs
