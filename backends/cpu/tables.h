// The outputs that hold all slots of a request: page tables, by slot and by page, and the flattened table.
#pragma once

#include "backends/cpu/balance.h"
#include "backends/cpu/policy.h"
#include "backends/cpu/request_block.h"

namespace nsameta::cpu {

// Of a batch that is one block, and of one in chunks.
void write_tables(const request_source& source, const request_block& block, const policy& policy);
void write_tables(const request_source& source, const balance& balance, const policy& policy);

}  // namespace nsameta::cpu
