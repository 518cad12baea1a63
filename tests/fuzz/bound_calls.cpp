#include "tests/fuzz/bound_calls.h"

#include <functional>
#include <utility>

#include "tests/fuzz/spoilers.h"
#include "tests/support/bound_case.h"

namespace nsameta::fuzz {
namespace {

// build_metadata as a bound_call, for the first `count` requests.
class bound_metadata final : public test::bound_call {
 public:
  bound_metadata(nsameta_context* context, void* stream, const test::metadata_case& c, int64_t count,
                 test::device_memory* memory)
      : context_(context), bound_(context, stream, c, memory), next_(bound_.description().inputs) {
    if (count >= 0) next_ = test::first_requests(next_, count);
  }

  nsameta_op op() const override { return NSAMETA_OP_BUILD_METADATA; }
  const void* args() const override { return &bound_.args(); }
  nsameta_status run_once(void* stream) override { return nsameta_build_metadata(context_, &bound_.args(), stream); }
  void reset() override {
    current_ = next_;
    bound_.reset(current_);
    next_ = test::changed(next_);
  }
  testing::AssertionResult holds(int64_t) override { return bound_.holds(current_); }
  testing::AssertionResult is_untouched() override { return bound_.is_untouched(); }

 private:
  nsameta_context* context_;
  test::bound_case bound_;
  reference::metadata_inputs current_;
  reference::metadata_inputs next_;
};

std::string expect_refusal(const char* how, const std::string& what, nsameta_status status) {
  if (status == NSAMETA_INVALID_ARGUMENT) return "";
  return std::string(how) + " with " + what + " gave " + nsameta_status_name(status) +
         " and not NSAMETA_INVALID_ARGUMENT";
}

template <typename Args>
std::string call_both(nsameta_context* context, void* stream, nsameta_op op, const Args& args, const std::string& what,
                      nsameta_status (*run)(const nsameta_context*, const Args*, void*)) {
  auto wrong = expect_refusal("a call", what, run(context, &args, stream));
  if (!wrong.empty()) return wrong;
  nsameta_plan* plan = nullptr;
  wrong = expect_refusal("a plan", what, nsameta_plan_create(context, op, &args, &plan));
  nsameta_plan_destroy(plan);
  return wrong;
}

}  // namespace

std::unique_ptr<test::bound_call> bind(nsameta_context* context, void* stream, const fuzz_case& c,
                                       test::device_memory* memory) {
  switch (c.op()) {
    case NSAMETA_OP_BUILD_METADATA:
      return std::make_unique<bound_metadata>(context, stream, std::get<test::metadata_case>(c.call), c.count, memory);
    case NSAMETA_OP_COPY_METADATA:
      return std::make_unique<test::bound_copy>(context, stream, std::get<test::copy_case>(c.call), memory);
    case NSAMETA_OP_MAP_TOPK_TO_SLOTS:
      return std::make_unique<test::bound_topk>(context, stream, std::get<test::topk_case>(c.call), memory);
    case NSAMETA_OP_MLA_SCHEDULE:
      return std::make_unique<test::bound_mla>(context, stream, std::get<test::mla_case>(c.call), memory);
  }
  return nullptr;
}

std::string check_refused(nsameta_context* context, void* stream, const fuzz_case& c, test::bound_call& bound) {
  switch (c.op()) {
    case NSAMETA_OP_BUILD_METADATA: {
      auto args = *static_cast<const nsameta_build_metadata_args*>(bound.args());
      const auto what = spoil(c.spoiler, &args);
      return call_both(context, stream, c.op(), args, what, nsameta_build_metadata);
    }
    case NSAMETA_OP_COPY_METADATA: {
      auto args = *static_cast<const nsameta_copy_metadata_args*>(bound.args());
      std::vector<nsameta_copy_pair> pairs(args.pairs, args.pairs + args.num_pairs);
      args.pairs = pairs.data();
      const auto what = spoil(c.spoiler, &args, &pairs);
      return call_both(context, stream, c.op(), args, what, nsameta_copy_metadata);
    }
    case NSAMETA_OP_MAP_TOPK_TO_SLOTS: {
      auto args = *static_cast<const nsameta_map_topk_to_slots_args*>(bound.args());
      const auto what = spoil(c.spoiler, &args);
      return call_both(context, stream, c.op(), args, what, nsameta_map_topk_to_slots);
    }
    case NSAMETA_OP_MLA_SCHEDULE: {
      auto args = *static_cast<const nsameta_mla_schedule_args*>(bound.args());
      const auto what = spoil(c.spoiler, &args);
      return call_both(context, stream, c.op(), args, what, nsameta_mla_schedule);
    }
  }
  return "";
}

}  // namespace nsameta::fuzz
