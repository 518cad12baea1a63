"""nsameta.torch_ops: each registered operator, by itself."""

import ast
import inspect
from pathlib import Path

import nsameta
import pytest

torch = pytest.importorskip("torch")

from nsameta import torch_ops
from torch_tensors import CONTEXT, int32, kept, request_table

from reference import KEPT

OPS = torch.ops.nsameta


@pytest.fixture(autouse=True)
def deterministic_memory():
    """Cells that an operation leaves alone are the same in every allocated tensor, so that results can be compared."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


STEP = {
    "seq_lens": int32([5, 40, 3]),
    "extend_seq_lens": int32([2, 0, 3]),
    "req_pool_indices": torch.tensor([4, 0, 6]),
    "req_to_token": request_table(),
    "topk": 16,
    "page_size": 4,
    "num_tokens_bound": 5,
    "max_kv_bound": 40,
}
ALL_OUTPUTS = [name for name in nsameta._allocate._SHAPES if name != "paged_mqa_ctx_lens_2d"]
VERIFY = {**STEP, "extend_seq_lens": None, "num_tokens_bound": None, "tokens_per_request": 2, "max_kv_bound": 42}
MAPPING = {
    "topk_indices": int32([[3, -1], [0, 7], [9, 1]]),
    "req_to_token": request_table(),
    "req_pool_indices": torch.tensor([4, 0, 6]),
    "token_to_batch": int32([0, 2, 2]),
}


def operator_calls():
    """(operator, arguments) of each, and of each way to call it."""
    yield OPS.build_metadata, {**STEP, "outputs": ALL_OUTPUTS, "step_mode": "extend", "num_sms": 3}
    yield (
        OPS.build_metadata,
        {**VERIFY, "outputs": ["paged_mqa_ctx_lens_2d", "positions"], "step_mode": "target_verify"},
    )
    yield OPS.build_metadata, {**STEP, "outputs": [], "extend_seq_lens": None}
    out = {"positions": kept(7), "cu_seqlens_k": kept(4), "page_table_1": kept(3, 80)[:, :CONTEXT]}
    step = {**STEP, "out": [*out.values()], "names": [*out], "step_mode": "extend"}
    yield OPS.build_metadata_out, step
    yield OPS.build_metadata_out, {**step, "set_sizes": [1, 2]}
    yield (
        OPS.copy_metadata,
        {"sources": [int32([1, 2]), torch.ones(2, 2).long()], "destinations": [kept(2), kept(2, 2).long()]},
    )
    yield OPS.map_topk_to_slots, MAPPING
    yield OPS.map_topk_to_slots_out, {**MAPPING, "slots": kept(3, 2), "num_valid": kept(3)}
    yield (
        OPS.map_topk_to_slots_out,
        {"topk_indices": MAPPING["topk_indices"], "slots": kept(3, 2), "offset": int32([1, 2, 3])},
    )
    yield OPS.mla_schedule, {"seq_lens": torch.tensor([500, 17, 900]), "num_parts": 4}
    yield OPS.mla_schedule, {"seq_lens": int32([500, 17]), "num_parts": 4, "batch": 1, "layout": "blocks"}
    yield OPS.mla_schedule_out, {"parts": kept(4, 8), "num_splits": kept(4), "seq_lens": int32([500, 17, 900])}


CALLS = list(operator_calls())


@pytest.mark.parametrize(("operator", "arguments"), CALLS, ids=[str(call[0]).rpartition(".")[2] for call in CALLS])
def test_opcheck(operator, arguments):
    torch.library.opcheck(operator.default, (), arguments)


def test_each_operator_is_checked():
    registered = {
        name.removeprefix("nsameta::") for name in torch._C._dispatch_get_all_op_names() if name.startswith("nsameta::")
    }
    assert registered == {str(operator).rpartition(".")[2] for operator, _ in CALLS}


def arguments_of_function(name):
    stub = ast.parse(Path(inspect.getfile(nsameta)).with_name("_core.pyi").read_text())
    function = next(node for node in stub.body if getattr(node, "name", None) == name)
    names = {argument.arg for argument in function.args.kwonlyargs} - {"context", "stream"}
    return {"step_mode" if name == "mode" else name for name in names}


def arguments_of(operator):
    return {argument.name for argument in operator.default._schema.arguments}


def test_operators_have_the_arguments_of_the_functions():
    built = arguments_of_function("build_metadata") - {"more_outputs"}
    assert arguments_of(OPS.build_metadata) == built - {"out"}
    assert arguments_of(OPS.build_metadata_out) == built - {"outputs", "num_sms"} | {"names", "set_sizes"}
    mapped = arguments_of_function("map_topk_to_slots")
    assert arguments_of(OPS.map_topk_to_slots) == mapped - {"slots", "num_valid"}
    assert arguments_of(OPS.map_topk_to_slots_out) == mapped
    scheduled = arguments_of_function("mla_schedule")
    assert arguments_of(OPS.mla_schedule) == scheduled - {"parts", "num_splits"} | {"num_parts"}
    assert arguments_of(OPS.mla_schedule_out) == scheduled


@pytest.mark.parametrize(
    ("changes", "exception", "name"),
    [
        ({"topk": 0}, ValueError, "topk"),
        ({"mode": "prefill"}, ValueError, "mode"),
        ({"seq_lens": torch.ones(3)}, TypeError, "seq_lens"),
        ({"seq_lens": torch.ones(3, requires_grad=True)}, (TypeError, ValueError), "seq_lens"),
        ({"req_to_token": None}, ValueError, "req_to_token"),
        ({"page_size": 3}, ValueError, "page_size"),
        ({"extend_seq_lens": torch.ones(2, dtype=torch.int32)}, ValueError, "extend_seq_lens"),
        ({"out": {"positions": torch.full((7,), KEPT)[::2]}}, ValueError, "positions"),
        ({"out": {"cu_seqlens_k": kept(4).float()}}, TypeError, "cu_seqlens_k"),
        ({"out": {"nonsense": kept(4)}}, ValueError, "nonsense"),
    ],
    ids=str,
)
def test_wrong_arguments_raise_what_the_function_raises(changes, exception, name):
    sums = kept(4)
    call = {**STEP, "mode": "extend", "out": {"cu_seqlens_k": sums, "out_slots": kept(5)}, **changes}
    with pytest.raises(exception, match=name) as plain:
        nsameta.build_metadata(**call)
    with pytest.raises(type(plain.value)) as wrapped:
        torch_ops.build_metadata(**call)
    mode, out = call.pop("mode"), call.pop("out")
    with pytest.raises(type(plain.value)) as of_operator:
        OPS.build_metadata_out(out=[*out.values()], names=[*out], step_mode=mode, **call)
    assert str(plain.value) == str(wrapped.value) == str(of_operator.value)
    assert (sums == KEPT).all()


@pytest.mark.parametrize(
    ("outputs", "changes", "missing"),
    [
        (["positions"], {"num_tokens_bound": None}, "num_tokens_bound"),
        (["positions"], {"num_tokens_bound": -1}, "num_tokens_bound"),
        (["page_table_1_flattened"], {"max_kv_bound": None}, "max_kv_bound"),
        (["paged_mqa_schedule"], {}, "num_sms"),
        (["page_table_1"], {"req_to_token": None}, "req_to_token"),
        (["nonsense"], {}, "nonsense"),
        (["cu_seqlens_k", "cu_seqlens_k"], {}, "cu_seqlens_k"),
    ],
)
def test_shapes_depend_on_no_values(outputs, changes, missing):
    call = {**STEP, "step_mode": "extend", "outputs": outputs, **changes}
    with pytest.raises(ValueError, match=missing):
        OPS.build_metadata(**call)
    on_meta = {name: value.to("meta") if isinstance(value, torch.Tensor) else value for name, value in call.items()}
    with pytest.raises(ValueError, match=missing):
        OPS.build_metadata(**on_meta)


def test_names_that_do_not_fit_the_tensors():
    for names, set_sizes in ((["positions"], []), (["positions", "cu_seqlens_k"], [1])):
        with pytest.raises(ValueError, match="names"):
            OPS.build_metadata_out(STEP["seq_lens"], [kept(5), kept(5)], names, set_sizes, topk=4)
