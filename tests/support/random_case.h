// A metadata_case drawn over every dimension at once: modes, lengths, layouts, outputs, capacities, tails, faults.
#pragma once

#include "tests/support/metadata_case.h"

namespace nsameta::test {

metadata_case draw_case(random_source& random);

}  // namespace nsameta::test
