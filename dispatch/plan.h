// Runs of an operation: once, or bound to a plan.
#pragma once

#include <type_traits>

#include "core/status.h"
#include "dispatch/context.h"
#include "dispatch/op.h"

struct nsameta_plan {
  nsameta_plan() = default;
  nsameta_plan(const nsameta_plan&) = delete;
  nsameta_plan& operator=(const nsameta_plan&) = delete;
  virtual ~nsameta_plan() = default;
  [[nodiscard]] virtual nsameta_status run(const nsameta::dispatch::run_bounds& bounds, void* stream) = 0;
  // What nsameta_plan_explain says.
  [[nodiscard]] virtual nsameta_status explain(const nsameta::dispatch::run_bounds& bounds, char* text, size_t size,
                                               size_t* needed) const = 0;
};

namespace nsameta::dispatch {

[[nodiscard]] nsameta_status create_plan(const nsameta_context& context, int32_t op, const void* args,
                                         nsameta_plan** plan);

// The part of a run's bounds that means the same for every operation.
[[nodiscard]] nsameta_status check_bounds(const run_bounds& bounds);

// The function that runs Op in this context; NULL, with the message set, when the backend lacks it.
template <class Op>
typename Op::slot find_slot(const nsameta_context& context) {
  const typename Op::slot slot = context.backend->*Op::kSlot;
  if (slot == nullptr) {
    (void)fail(NSAMETA_UNSUPPORTED, "backend %s has no %s", context.backend->name, Op::kName);
  }
  return slot;
}

template <class Op>
[[nodiscard]] nsameta_status check_and_run(const nsameta_context& context, const void* args, void* stream) {
  typename Op::desc desc;
  if (const auto status = Op::check(args, context.device, &desc); status != NSAMETA_OK) return status;
  const auto slot = find_slot<Op>(context);
  if (slot == nullptr) return NSAMETA_UNSUPPORTED;
  const auto status = context.is_staged() ? make_staged(desc)->run(context, desc, stream)
                                          : from_backend(*context.backend, slot(context.state, &desc, stream));
  if (status == NSAMETA_OK) context.count_launch();
  return status;
}

template <class Op>
[[nodiscard]] nsameta_status run_once(const nsameta_context& context, const typename Op::args* args, void* stream) {
  if constexpr (std::is_same_v<Op, build_metadata_op>) {
    if (recent_calls::can_keep(context, args)) return context.recent_calls.run(context, *args, stream);
  }
  return check_and_run<Op>(context, args, stream);
}

}  // namespace nsameta::dispatch
