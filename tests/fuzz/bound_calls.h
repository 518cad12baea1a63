// A fuzz_case in the memory of a context.
#pragma once

#include <memory>
#include <string>

#include "tests/fuzz/fuzz_case.h"

namespace nsameta::fuzz {

// The call on memory that the next one uses again.
std::unique_ptr<test::bound_call> bind(nsameta_context* context, void* stream, const fuzz_case& c,
                                       test::device_memory* memory);

// Calls with a copy of the bound call's args that is spoilt, one-shot and as a plan: "" when both refuse it.
std::string check_refused(nsameta_context* context, void* stream, const fuzz_case& c, test::bound_call& bound);

}  // namespace nsameta::fuzz
