// Defines one table of loops, for the instruction set that is being compiled for: NSAMETA_CPU_ISA is its name.
#pragma once

#include "backends/cpu/loops/isa_tables.h"
#include "backends/cpu/loops/load_block.h"
#include "backends/cpu/loops/loops.h"
#include "backends/cpu/loops/request_outputs.h"
#include "backends/cpu/loops/row_copy.h"
#include "backends/cpu/loops/slot_copy.h"
#include "backends/cpu/loops/token_outputs.h"
#include "backends/cpu/loops/topk_row.h"

#define NSAMETA_TEXT_OF(name) #name
#define NSAMETA_TEXT(name) NSAMETA_TEXT_OF(name)

namespace nsameta::cpu {
namespace {

template <typename Element>
void stream_value(Element* to, int64_t num, int32_t value) {
  line_writer<Element>(to).write(constant_run(), 0, static_cast<uint32_t>(value), num);
}

}  // namespace

constinit const loops NSAMETA_CPU_ISA::kLoops = {
    .isa = NSAMETA_TEXT(NSAMETA_CPU_ISA),
    .load_block = load_block,
    .write_request_outputs = write_request_outputs,
    .write_token_outputs = write_token_outputs,
    .stream_int32 = stream_value<int32_t>,
    .stream_int64 = stream_value<int64_t>,
    .copy_slots = copy_slots<int32_t>,
    .copy_pages = copy_pages,
    .copy_cells = copy_cells,
    .map_topk_row = map_topk_row,
};

}  // namespace nsameta::cpu
