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
