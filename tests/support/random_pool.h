// The part of a random metadata_case that has to do with req_to_token: lengths that fit it, tables, schedule, plan.
#pragma once

#include "tests/support/random_case.h"

namespace nsameta::test {

// Gives the case a pool, lengths that mostly fit it, and choices for schedule and plan.
void draw_pool(random_source& random, const case_limits& limits, metadata_case* c);

// Draws the outputs of a destination that come with a pool, each wanted with a chance of `percent`.
void draw_slot_outputs(random_source& random, const case_limits& limits, const metadata_case& c, int percent,
                       bool may_be_small, set_layout* set);

}  // namespace nsameta::test
