// What lies behind the last token and the last request, by the tail policy of the descriptor.
#pragma once

#include <cstdint>

#include "backends/cpu/policy.h"
#include "backends/cpu/request_block.h"

namespace nsameta::cpu {

// After all tokens are written.
void write_token_tails(const request_source& source, int64_t num_tokens, const policy& policy);

// From the true batch to the descriptor's, after all requests are written.
void write_request_tails(const request_source& source);

}  // namespace nsameta::cpu
