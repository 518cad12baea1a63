// One case of the fuzzer: a call of one operation, and how it is made. All of it follows from a random_source.
#pragma once

#include <iosfwd>
#include <variant>
#include <vector>

#include "tests/support/copy_case.h"
#include "tests/support/metadata_case.h"
#include "tests/support/mla_case.h"
#include "tests/support/random.h"
#include "tests/support/topk_case.h"

namespace nsameta::fuzz {

struct fuzz_case {
  std::variant<test::metadata_case, test::copy_case, test::topk_case, test::mla_case> call;
  bool by_plan = false;
  int64_t count = -1;  // requests or tokens that the plan runs for; -1: all
  int64_t num_tokens_bound = -1;
  int64_t max_kv_bound = -1;
  int64_t spoiler = -1;  // >= 0: number of a change that makes the args invalid; see spoilers.h

  nsameta_op op() const { return static_cast<nsameta_op>(call.index()); }
};

// Every operation of core/ops.def, in its order.
inline constexpr const char* kOpNames[] = {
#define NSAMETA_OP(name) #name,
#include "core/ops.def"
#undef NSAMETA_OP
};
inline constexpr int kNumOps = sizeof(kOpNames) / sizeof(kOpNames[0]);

// A case of one of `ops`.
fuzz_case draw(test::random_source& random, const std::vector<nsameta_op>& ops);

test::metadata_case draw_metadata(test::random_source& random);
test::copy_case draw_copy(test::random_source& random);
test::topk_case draw_topk(test::random_source& random);
test::mla_case draw_mla(test::random_source& random);

// In words, and numbers of everything that a reader needs to build the case by hand.
std::ostream& operator<<(std::ostream& out, const fuzz_case& c);

}  // namespace nsameta::fuzz
