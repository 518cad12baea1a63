// The paged-MQA schedule: where each multiprocessor begins among the segments of all lengths.
#pragma once

#include "backends/cpu/balance.h"
#include "backends/cpu/request_block.h"

namespace nsameta::cpu {

// Of a batch that is one block, and of one in chunks.
void write_mqa_schedules(const request_source& source, const request_block& block);
void write_mqa_schedules(const request_source& source, const balance& balance);

}  // namespace nsameta::cpu
