// SGLang's plan of its cluster top-k: thresholds at the edges of their caps, sizes at which nothing is written.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_topk_plan : public execution_test {
 protected:
  // `num_long` lengths of `longest` keys among short ones; no slots, so that no pool of that size is needed.
  metadata_case decode(int64_t batch, int64_t num_long, int64_t longest) {
    auto lengths = random_lengths(random_, batch, 1, 30'000);
    for (int64_t i = 0; i < num_long; ++i) lengths[static_cast<size_t>(i * batch / num_long)] = longest;
    return decode_case(std::move(lengths)).want({output_id::topk_plan, output_id::seqlens_expanded});
  }
  random_source random_{72};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_topk_plan);

TEST_P(build_metadata_topk_plan, caps_of_every_candidate) {
  const int hopper[] = {30, 45, 60, 80, 112, 128};
  const int blackwell[] = {48, 66, 99, 132, 198, 231, 264};
  for (const auto arch : {NSAMETA_TOPK_PLAN_HOPPER, NSAMETA_TOPK_PLAN_BLACKWELL}) {
    const std::vector<int> caps = arch == NSAMETA_TOPK_PLAN_HOPPER
                                      ? std::vector<int>(std::begin(hopper), std::end(hopper))
                                      : std::vector<int>(std::begin(blackwell), std::end(blackwell));
    for (const int cap : caps) {
      for (const int64_t num_long : {cap - 1, cap, cap + 1}) {
        for (const int64_t longest :
             {32'768, 32'769, 65'537, 98'305, 131'072, 131'073, 163'841, 196'609, 262'145, 393'216, 393'217, 524'289}) {
          auto c = decode(400, num_long, longest);
          c.inputs.topk_plan_arch = arch;
          check(c);
        }
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(build_metadata_topk_plan, mixed_lengths) {
  for (int i = 0; i < 100; ++i) {
    auto c = decode_case(random_lengths(random_, random_.in(31, 512), 0, random_.pick({100'000, 300'000, 700'000})));
    c.want({output_id::topk_plan});
    c.inputs.topk_plan_arch = static_cast<int>(random_.in(0, 1));
    check(c);
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_topk_plan, written_only_between_clusters_and_512_tokens) {
  for (const int clusters : {0, 1, 30, 33, 511, 512, 600}) {
    for (const int64_t batch : {0, 1, 2, 29, 30, 31, 33, 34, 511, 512, 513, 600, 3000}) {
      auto c = batch == 0 ? decode_case({}).want({output_id::topk_plan}) : decode(batch, 1, 70'000);
      c.inputs.topk_plan_clusters = clusters;
      c.at(output_id::topk_plan).slack = 3;
      check(c);
    }
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_topk_plan, static_threshold) {
  for (const int threshold : {0, 1, 15'000, 40'000, INT32_MAX}) {
    auto c = decode(200, 20, 50'000);
    c.inputs.topk_plan_threshold = threshold;
    check(c);
    auto verify = verify_case(random_lengths(random_, 100, 0, 60'000), 4).want({output_id::topk_plan});
    verify.inputs.topk_plan_threshold = threshold;
    check(verify);
  }
}

TEST_P(build_metadata_topk_plan, tokens_of_every_mode) {
  for (const auto arch : {NSAMETA_TOPK_PLAN_HOPPER, NSAMETA_TOPK_PLAN_BLACKWELL}) {
    auto verify = verify_case(random_lengths(random_, 120, 0, 200'000), 4);
    auto ragged =
        ragged_case(NSAMETA_MODE_EXTEND, random_lengths(random_, 90, 0, 200'000), random_lengths(random_, 90, 0, 5));
    auto draft =
        ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random_, 90, 0, 9), random_lengths(random_, 90, 1, 5));
    auto one = ragged_case(NSAMETA_MODE_EXTEND, {100'000}, {512});
    for (auto* c : {&verify, &ragged, &draft, &one}) {
      c->want({output_id::topk_plan});
      c->inputs.topk_plan_arch = arch;
      check(*c);
    }
  }
}

TEST_P(build_metadata_topk_plan, buffers_with_too_few_rows) {
  for (const int64_t slack : {-1, -30, -150, -1000}) {
    auto c = decode(200, 90, 500'000);
    c.at(output_id::topk_plan).slack = slack;
    c.inputs.topk_plan_threshold = 20;
    check(c);
  }
}

}  // namespace
}  // namespace nsameta::test
