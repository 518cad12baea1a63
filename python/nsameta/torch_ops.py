"""The operations for torch.compile: importing this registers them as torch.ops.nsameta.*.

An operator writes into the caller's tensors where its name ends in _out, and in copy_metadata; the others allocate what
they return. The functions here take what those of `nsameta` take. In a compiled function they call the operators,
which do not break the graph; elsewhere they are those of `nsameta`.
"""

import itertools

import torch

import nsameta
from nsameta._allocate import empty_outputs

# Sizes may be symbols. What belongs to a model is part of the compiled code. torch 2.13 cannot functionalise an operator
# that has an argument called "mode", so that it is step_mode here.
_BUILD_ARGUMENTS = """
    Tensor? extend_seq_lens=None, Tensor? num_requests=None, Tensor? req_pool_indices=None, Tensor? req_to_token=None,
    *, str? step_mode=None, SymInt? batch=None, SymInt? tokens_per_request=None, bool? static_width=None, int? topk=None,
    int? kpool=None, bool? clamp=None, str? tail=None, int? page_size=None, str? table_width=None,
    str? table_rows=None, str? mqa_variant=None, str? mqa_lengths=None, int? mqa_next_n=None,
    str? topk_plan_arch=None, int? topk_plan_clusters=None, int? topk_plan_threshold=None,
    bool? programmatic_launch=None, SymInt? max_table_width=None, SymInt? num_tokens_bound=None,
    SymInt? max_kv_bound=None"""
_MAP_ARGUMENTS = """
    Tensor? offset=None, Tensor? req_to_token=None, Tensor? req_pool_indices=None, Tensor? token_to_batch=None,
    Tensor? cu_seqlens_q=None, Tensor? page_table=None, Tensor? flattened=None"""
_MLA_ARGUMENTS = """
    *, SymInt? batch=None, int? block_size=None, int? fixed_overhead=None, int? topk=None, bool? min_keys=None,
    str? layout=None"""

_library = torch.library.Library("nsameta", "DEF")


def _register(schema, kernel, fake):
    """Of a call, `kernel` and `fake` get all arguments that were given by name. torch.library.custom_op would do the
    same, and take twenty times as long for each call.
    """
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    name = schema.partition("(")[0]
    names = [argument.name for argument in getattr(torch.ops.nsameta, name).default._schema.arguments]

    def by_name(function):
        return lambda *values, **keywords: function(**dict(zip(names, values, strict=False)), **keywords)

    _library.impl(name, by_name(kernel), "CompositeExplicitAutograd")
    torch.library.register_fake(f"nsameta::{name}", by_name(fake), lib=_library)


def _nothing(**_):
    """What an operator that only writes does to tensors without memory."""


def _allocate_metadata(*, outputs, num_sms=None, step_mode=None, **arguments):
    if len(set(outputs)) != len(outputs):
        raise ValueError(f"outputs: {outputs} has a name twice")
    for name in ("batch", "num_tokens_bound", "max_kv_bound"):
        if isinstance(size := arguments.get(name), torch.SymInt):  # of which the compiler may know nothing
            torch._check(size >= 0, lambda name=name: f"{name}: is negative")
    return list(empty_outputs({"mode": step_mode, **arguments}, outputs, num_sms, reads_lengths=False).values())


def _build_metadata(*, outputs, num_sms=None, step_mode=None, **arguments):
    allocated = _allocate_metadata(outputs=outputs, num_sms=num_sms, step_mode=step_mode, **arguments)
    nsameta.build_metadata(mode=step_mode, out=dict(zip(outputs, allocated, strict=True)), **arguments)
    return allocated


_register(
    f"build_metadata(Tensor seq_lens, str[] outputs, {_BUILD_ARGUMENTS}, SymInt? num_sms=None) -> Tensor[]",
    _build_metadata,
    _allocate_metadata,
)


def _build_metadata_out(*, out, names, set_sizes=(), step_mode=None, **arguments):
    """names: those of `out`, in its order. set_sizes: how many belong to `out` and to each of more_outputs."""
    if len(out) != len(names) or sum(set_sizes or [len(out)]) != len(out):
        raise ValueError(f"names: {len(names)}, in sets of {list(set_sizes)}, do not fit the {len(out)} tensors of out")
    named = zip(names, out, strict=True)
    first, *more = [dict(itertools.islice(named, size)) for size in set_sizes or [len(out)]]
    nsameta.build_metadata(mode=step_mode, out=first, more_outputs=more, **arguments)


_register(
    f"build_metadata_out(Tensor seq_lens, Tensor(a!)[] out, str[] names, int[] set_sizes=[], {_BUILD_ARGUMENTS}) -> ()",
    _build_metadata_out,
    _nothing,
)
_register(
    "copy_metadata(Tensor[] sources, Tensor(a!)[] destinations) -> ()",
    lambda sources, destinations: nsameta.copy_metadata(list(zip(sources, destinations, strict=True))),
    _nothing,
)


def _allocate_slots(topk_indices, **_):
    return topk_indices.new_empty(topk_indices.shape), topk_indices.new_empty(topk_indices.shape[:1])


def _map_topk_to_slots(**arguments):
    slots, num_valid = _allocate_slots(**arguments)
    nsameta.map_topk_to_slots(slots=slots, num_valid=num_valid, **arguments)
    return slots, num_valid


_register(
    f"map_topk_to_slots(Tensor topk_indices, {_MAP_ARGUMENTS}) -> (Tensor slots, Tensor num_valid)",
    _map_topk_to_slots,
    _allocate_slots,
)
_register(
    f"map_topk_to_slots_out(Tensor topk_indices, Tensor(a!) slots, Tensor(b!)? num_valid=None, {_MAP_ARGUMENTS}) -> ()",
    nsameta.map_topk_to_slots,
    _nothing,
)


def _allocate_mla_schedule(seq_lens, num_parts, batch=None, **_):
    batch = seq_lens.shape[0] if batch is None or batch < 0 else batch
    return tuple(seq_lens.new_empty(shape, dtype=torch.int32) for shape in ((num_parts, 8), (batch + 1,)))


def _mla_schedule(*, num_parts, **arguments):
    parts, num_splits = _allocate_mla_schedule(num_parts=num_parts, **arguments)
    nsameta.mla_schedule(parts=parts, num_splits=num_splits, **arguments)
    return parts, num_splits


_register(
    f"mla_schedule(Tensor seq_lens, SymInt num_parts, {_MLA_ARGUMENTS}) -> (Tensor parts, Tensor num_splits)",
    _mla_schedule,
    _allocate_mla_schedule,
)
_register(
    f"mla_schedule_out(Tensor(a!) parts, Tensor(b!) num_splits, Tensor? seq_lens=None, {_MLA_ARGUMENTS}) -> ()",
    nsameta.mla_schedule,
    _nothing,
)


def build_metadata(**arguments):
    """nsameta.build_metadata; in a compiled function without `context` and `stream`, and shapes depend on bounds, not on
    the values of tensors.
    """
    if not torch.compiler.is_compiling():
        return nsameta.build_metadata(**arguments)
    arguments["step_mode"] = arguments.pop("mode", None)
    out, more, outputs, num_sms = (arguments.pop(name, None) for name in ("out", "more_outputs", "outputs", "num_sms"))
    allocated = {}
    if outputs is not None:
        tensors = torch.ops.nsameta.build_metadata(outputs=outputs, num_sms=num_sms, **arguments)
        allocated = dict(zip(outputs, tensors, strict=True))
    sets = [
        {name: tensor for name, tensor in each.items() if tensor is not None} for each in (out or {}, *(more or ()))
    ]
    if outputs is None or any(sets):
        names, tensors = [name for each in sets for name in each], [tensor for each in sets for tensor in each.values()]
        torch.ops.nsameta.build_metadata_out(
            out=tensors, names=names, set_sizes=[len(each) for each in sets], **arguments
        )
    return {**out, **allocated} if out else allocated


def copy_metadata(pairs, **arguments):
    """nsameta.copy_metadata; in a compiled function without `context` and `stream`."""
    if not torch.compiler.is_compiling():
        return nsameta.copy_metadata(pairs, **arguments)
    sources, destinations = ([pair[side] for pair in pairs] for side in (0, 1))
    return torch.ops.nsameta.copy_metadata(sources=sources, destinations=destinations, **arguments)


def map_topk_to_slots(**arguments):
    """nsameta.map_topk_to_slots; in a compiled function without `context` and `stream`."""
    if not torch.compiler.is_compiling():
        return nsameta.map_topk_to_slots(**arguments)
    return torch.ops.nsameta.map_topk_to_slots_out(**arguments)


def mla_schedule(**arguments):
    """nsameta.mla_schedule; in a compiled function without `context` and `stream`."""
    if not torch.compiler.is_compiling():
        return nsameta.mla_schedule(**arguments)
    return torch.ops.nsameta.mla_schedule_out(**arguments)
