#include "dispatch/plan.h"

#include <algorithm>
#include <cinttypes>
#include <iterator>

#include "core/text_writer.h"

namespace nsameta::dispatch {
namespace {

template <class Op>
nsameta_status explain_run(const nsameta_context& context, const typename Op::desc& bound, const run_bounds& bounds,
                           char* text, size_t size, size_t* needed) {
  typename Op::desc desc = bound;
  if (const auto status = narrow(bound, bounds, &desc); status != NSAMETA_OK) return status;
  const nsameta_backend& backend = *context.backend;
  if (backend.*Op::kExplainSlot == nullptr) {
    return fail(NSAMETA_UNSUPPORTED, "backend %s does not explain %s", backend.name, Op::kName);
  }
  text_writer head(text, size);
  head.line("backend: %s", backend.name);
  const size_t begin = head.needed() - 1;
  const size_t used = std::min(begin, size);
  size_t own = 0;
  const auto status =
      (backend.*Op::kExplainSlot)(context.state, &desc, used < size ? text + used : nullptr, size - used, &own);
  if (status != NSAMETA_OK) return from_backend(backend, status);
  if (needed != nullptr) *needed = begin + own;
  return NSAMETA_OK;
}

template <class Op>
class direct_plan final : public nsameta_plan {
 public:
  direct_plan(const nsameta_context& context, const typename Op::desc& bound)
      : context_(context), slot_(context.backend->*Op::kSlot), bound_(bound), desc_(bound) {}

  nsameta_status run(const run_bounds& bounds, void* stream) override {
    if (const auto status = narrow(bound_, bounds, &desc_); status != NSAMETA_OK) return status;
    const auto status = slot_(context_.state, &desc_, stream);
    if (status != NSAMETA_OK) return from_backend(*context_.backend, status);
    context_.count_launch();
    return NSAMETA_OK;
  }

  nsameta_status explain(const run_bounds& bounds, char* text, size_t size, size_t* needed) const override {
    return explain_run<Op>(context_, bound_, bounds, text, size, needed);
  }

 private:
  const nsameta_context& context_;
  const typename Op::slot slot_;
  const typename Op::desc bound_;
  typename Op::desc desc_;  // of the current run; a member, so that a run need not copy it
};

// A plan of a backend that chooses a launch once: while the bounds of a run stay, nothing but the launch is left to do.
template <class Op>
class prepared_plan final : public nsameta_plan {
 public:
  prepared_plan(const nsameta_context& context, const typename Op::desc& bound)
      : context_(context), backend_(*context.backend), bound_(bound), desc_(bound) {}
  ~prepared_plan() override {
    if (prepared_ != nullptr) backend_.release_prepared(context_.state, prepared_);
  }

  // Rounded up, contexts that grow by a token a step keep their launch; no launch is sized by less.
  nsameta_status run(const run_bounds& bounds, void* stream) override {
    const run_bounds rounded{bounds.batch, bounds.num_tokens, round_up(bounds.max_kv)};
    if (rounded != of_bounds_ || context_.num_tunings != of_tuning_) {
      if (const auto status = prepare(rounded); status != NSAMETA_OK) return status;
    }
    const auto status = backend_.launch_prepared(context_.state, prepared_, stream);
    if (status != NSAMETA_OK) return from_backend(backend_, status);
    context_.count_launch();
    return NSAMETA_OK;
  }

  // Also called when the plan is made, so that runs need not allocate.
  nsameta_status prepare(const run_bounds& bounds) {
    of_bounds_ = kNoBounds;
    if (const auto status = narrow(bound_, bounds, &desc_); status != NSAMETA_OK) return status;
    const auto status = (backend_.*Op::kPrepareSlot)(context_.state, &desc_, &prepared_);
    if (status != NSAMETA_OK) return from_backend(backend_, status);
    of_bounds_ = bounds;
    of_tuning_ = context_.num_tunings;
    return NSAMETA_OK;
  }

  nsameta_status explain(const run_bounds& bounds, char* text, size_t size, size_t* needed) const override {
    return explain_run<Op>(context_, bound_, bounds, text, size, needed);
  }

 private:
  static constexpr run_bounds kNoBounds{INT32_MIN, INT64_MIN, INT64_MIN};

  static int64_t round_up(int64_t max_kv) {
    constexpr int64_t kStep = 128;
    return max_kv < 0 || max_kv > INT64_MAX - kStep ? max_kv : (max_kv + kStep - 1) / kStep * kStep;
  }

  const nsameta_context& context_;
  const nsameta_backend& backend_;
  const typename Op::desc bound_;
  typename Op::desc desc_;
  void* prepared_ = nullptr;
  run_bounds of_bounds_ = kNoBounds;
  uint64_t of_tuning_ = 0;
};

template <class Op>
class staged_plan final : public nsameta_plan {
 public:
  staged_plan(const nsameta_context& context, const typename Op::desc& bound)
      : context_(context), staged_(make_staged(bound)), bound_(bound), desc_(bound) {}

  nsameta_status run(const run_bounds& bounds, void* stream) override {
    if (const auto status = narrow(bound_, bounds, &desc_); status != NSAMETA_OK) return status;
    const auto status = staged_->run(context_, desc_, stream);
    if (status == NSAMETA_OK) context_.count_launch();
    return status;
  }

  nsameta_status explain(const run_bounds& bounds, char* text, size_t size, size_t* needed) const override {
    return explain_run<Op>(context_, bound_, bounds, text, size, needed);
  }

 private:
  const nsameta_context& context_;
  const std::unique_ptr<staged_run<typename Op::desc>> staged_;
  const typename Op::desc bound_;
  typename Op::desc desc_;
};

template <class Op>
nsameta_status create(const nsameta_context& context, const void* args, nsameta_plan** plan) {
  typename Op::desc desc;
  if (const auto status = Op::check(args, context.device, &desc); status != NSAMETA_OK) return status;
  if (find_slot<Op>(context) == nullptr) return NSAMETA_UNSUPPORTED;
  if (context.is_staged()) {
    *plan = new staged_plan<Op>(context, desc);
  } else if (context.backend->*Op::kPrepareSlot != nullptr) {
    auto made = std::make_unique<prepared_plan<Op>>(context, desc);
    if (const auto status = made->prepare({-1, -1, -1}); status != NSAMETA_OK) return status;
    *plan = made.release();
  } else {
    *plan = new direct_plan<Op>(context, desc);
  }
  return NSAMETA_OK;
}

constexpr nsameta_status (*kCreate[])(const nsameta_context&, const void*, nsameta_plan**) = {
#define NSAMETA_OP(name) &create<name##_op>,
#include "core/ops.def"
#undef NSAMETA_OP
};

}  // namespace

nsameta_status check_bounds(const run_bounds& bounds) {
  if (bounds.num_tokens < -1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "num_tokens_bound=%" PRId64 " must be -1 or more", bounds.num_tokens);
  }
  if (bounds.max_kv < -1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "max_kv_bound=%" PRId64 " must be -1 or more", bounds.max_kv);
  }
  return NSAMETA_OK;
}

nsameta_status create_plan(const nsameta_context& context, int32_t op, const void* args, nsameta_plan** plan) {
  if (op < 0 || op >= static_cast<int32_t>(std::size(kCreate))) {
    return fail(NSAMETA_INVALID_ARGUMENT, "op=%" PRId32 " must be in [0, %zu)", op, std::size(kCreate));
  }
  return kCreate[op](context, args, plan);
}

}  // namespace nsameta::dispatch
