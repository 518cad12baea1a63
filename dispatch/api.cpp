// The functions of nsameta.h. No exception leaves this file or device_api.cpp.
#include <algorithm>
#include <cstring>
#include <string>

#include "core/log.h"
#include "core/ops/build_metadata.h"
#include "core/status.h"
#include "dispatch/guard.h"
#include "dispatch/plan.h"
#include "dispatch/presets.h"
#include "dispatch/select.h"
#include "dispatch/tuning.h"

namespace dispatch = nsameta::dispatch;
using dispatch::guarded;
using dispatch::refuse_null;
using nsameta::fail;

#define NSAMETA_TO_STRING(x) #x
#define NSAMETA_VERSION_TEXT(major, minor, patch) \
  NSAMETA_TO_STRING(major) "." NSAMETA_TO_STRING(minor) "." NSAMETA_TO_STRING(patch)

extern "C" {

// ---- status, version, log ----

const char* nsameta_status_name(nsameta_status status) {
  switch (status) {
    case NSAMETA_OK: return "NSAMETA_OK";
    case NSAMETA_INVALID_ARGUMENT: return "NSAMETA_INVALID_ARGUMENT";
    case NSAMETA_BACKEND_UNAVAILABLE: return "NSAMETA_BACKEND_UNAVAILABLE";
    case NSAMETA_UNSUPPORTED: return "NSAMETA_UNSUPPORTED";
    case NSAMETA_OUT_OF_MEMORY: return "NSAMETA_OUT_OF_MEMORY";
    case NSAMETA_DEVICE_ERROR: return "NSAMETA_DEVICE_ERROR";
    case NSAMETA_INTERNAL_ERROR: return "NSAMETA_INTERNAL_ERROR";
  }
  return "unknown nsameta_status";
}

const char* nsameta_last_error_message(void) { return nsameta::last_error_message(); }

const char* nsameta_version_string(void) {
  return NSAMETA_VERSION_TEXT(NSAMETA_VERSION_MAJOR, NSAMETA_VERSION_MINOR, NSAMETA_VERSION_PATCH);
}

uint32_t nsameta_abi_version(void) { return NSAMETA_ABI_VERSION; }

const char* nsameta_build_string(void) {
#if defined(__clang__)
  return "clang " __clang_version__ ", " NSAMETA_BUILD_TYPE;
#else
  return "g++ " __VERSION__ ", " NSAMETA_BUILD_TYPE;
#endif
}

void nsameta_set_log_callback(nsameta_log_fn fn, void* user, nsameta_log_level level) {
  (void)guarded([&] {
    nsameta::set_log_callback(fn, user, level);
    return NSAMETA_OK;
  });
}

// ---- backends ----

int32_t nsameta_num_backends(void) {
  int32_t count = 0;
  (void)guarded([&] {
    count = static_cast<int32_t>(dispatch::process_registry().backends.size());
    return NSAMETA_OK;
  });
  return count;
}

nsameta_status nsameta_get_backend_info(int32_t backend_idx, nsameta_backend_info* info) {
  return guarded([&] {
    if (info == nullptr) return refuse_null("info");
    const dispatch::backend_entry* entry = nullptr;
    if (const auto status = dispatch::backend_at(backend_idx, &entry); status != NSAMETA_OK) return status;
    *info = {entry->name.c_str(), entry->reason.c_str(), entry->path.c_str(),
             entry->usable(),     entry->num_devices,    entry->priority};
    return NSAMETA_OK;
  });
}

nsameta_status nsameta_get_device_info(int32_t backend_idx, int32_t device_idx, nsameta_device_info* info) {
  return guarded([&] {
    if (info == nullptr) return refuse_null("info");
    const dispatch::backend_entry* entry = nullptr;
    if (const auto status = dispatch::backend_at(backend_idx, &entry); status != NSAMETA_OK) return status;
    if (device_idx < 0 || device_idx >= entry->num_devices) {
      return fail(NSAMETA_INVALID_ARGUMENT, "device_idx=%d must be in [0, %d), the devices of backend %s", device_idx,
                  entry->num_devices, entry->name.c_str());
    }
    *info = {};
    return dispatch::from_backend(*entry->table, entry->table->device_info(device_idx, info));
  });
}

nsameta_status nsameta_select_backend(nsameta_device device, const char* backend, nsameta_selection* selection) {
  return guarded([&] {
    if (selection == nullptr) return refuse_null("selection");
    static thread_local std::string reason;
    const dispatch::selection chosen =
        dispatch::select(device, backend, dispatch::process_settings(), dispatch::process_registry());
    if (chosen.status != NSAMETA_OK && chosen.status != NSAMETA_BACKEND_UNAVAILABLE) {
      return fail(chosen.status, "%s", chosen.message.c_str());
    }
    reason = chosen.status == NSAMETA_OK ? chosen.reason : chosen.message;
    *selection = {chosen.backend == nullptr ? nullptr : chosen.backend->name.c_str(), chosen.staged(), reason.c_str()};
    return NSAMETA_OK;
  });
}

// ---- context ----

nsameta_status nsameta_context_create(nsameta_device device, const char* backend, nsameta_context** context) {
  return guarded([&] {
    if (context == nullptr) return refuse_null("context");
    *context = nullptr;
    return dispatch::create_context(device, backend, context);
  });
}

void nsameta_context_destroy(nsameta_context* context) { delete context; }

const char* nsameta_context_backend(const nsameta_context* context) {
  return context == nullptr ? "" : context->backend->name;
}

nsameta_device nsameta_context_device(const nsameta_context* context) {
  return context == nullptr ? nsameta_device{} : context->device;
}

int32_t nsameta_context_is_staged(const nsameta_context* context) { return context != nullptr && context->is_staged(); }

uint64_t nsameta_context_num_launches(const nsameta_context* context) {
  return context == nullptr ? 0 : context->num_launches.load(std::memory_order_relaxed);
}

nsameta_status nsameta_context_error(const nsameta_context* context, nsameta_fault* fault) {
  if (context == nullptr) return refuse_null("context");
  if (fault == nullptr) return refuse_null("fault");
  *fault = dispatch::decode_fault(std::atomic_ref(*context->fault_word).load(std::memory_order_acquire));
  return NSAMETA_OK;
}

nsameta_status nsameta_context_clear_error(nsameta_context* context) {
  if (context == nullptr) return refuse_null("context");
  std::atomic_ref(*context->fault_word).store(0, std::memory_order_release);
  return NSAMETA_OK;
}

// ---- operations ----

#define NSAMETA_OP(name)                                                                                           \
  void nsameta_##name##_args_init(nsameta_##name##_args* args) {                                                   \
    if (args != nullptr) *args = nsameta::name::default_args();                                                    \
  }                                                                                                                \
  nsameta_status nsameta_##name(const nsameta_context* context, const nsameta_##name##_args* args, void* stream) { \
    return guarded([&] {                                                                                           \
      if (context == nullptr) return refuse_null("context");                                                       \
      return dispatch::run_once<dispatch::name##_op>(*context, args, stream);                                      \
    });                                                                                                            \
  }
#include "core/ops.def"
#undef NSAMETA_OP

nsameta_status nsameta_fill_draft_extend_metadata_fused_simple(const nsameta_context* context,
                                                               const nsameta_tensor* extend_seq_lens,
                                                               const nsameta_tensor* seq_lens, int32_t topk,
                                                               const nsameta_tensor* seqlens_expanded,
                                                               const nsameta_tensor* nsa_cache_seqlens, void* stream) {
  return nsameta_fill_draft_extend_metadata_inplace(context, extend_seq_lens, seq_lens, topk, seqlens_expanded,
                                                    nsa_cache_seqlens, nullptr, stream);
}

nsameta_status nsameta_fill_draft_extend_metadata_inplace(const nsameta_context* context,
                                                          const nsameta_tensor* extend_seq_lens,
                                                          const nsameta_tensor* seq_lens, int32_t topk,
                                                          const nsameta_tensor* seqlens_expanded,
                                                          const nsameta_tensor* nsa_cache_seqlens,
                                                          const nsameta_tensor* total_tokens, void* stream) {
  nsameta_build_metadata_args args;
  const auto status =
      dispatch::draft_extend_args({extend_seq_lens, seq_lens, seqlens_expanded, nsa_cache_seqlens}, topk, &args);
  if (status != NSAMETA_OK) return status;
  if (total_tokens != nullptr) args.out.total_tokens = *total_tokens;
  return nsameta_build_metadata(context, &args, stream);
}

nsameta_status nsameta_fill_draft_extend_metadata_fused(
    const nsameta_context* context, const nsameta_tensor* extend_seq_lens, const nsameta_tensor* seq_lens, int32_t topk,
    const nsameta_tensor* seqlens_expanded, const nsameta_tensor* nsa_cache_seqlens,
    const nsameta_tensor* cache_seqlens, const nsameta_tensor* cu_seqlens_k, void* stream) {
  nsameta_build_metadata_args args;
  auto status =
      dispatch::draft_extend_args({extend_seq_lens, seq_lens, seqlens_expanded, nsa_cache_seqlens}, topk, &args);
  if (status == NSAMETA_OK) status = dispatch::take_tensor("cache_seqlens", cache_seqlens, &args.out.cache_seqlens);
  if (status == NSAMETA_OK) status = dispatch::take_tensor("cu_seqlens_k", cu_seqlens_k, &args.out.cu_seqlens_k);
  if (status != NSAMETA_OK) return status;
  return nsameta_build_metadata(context, &args, stream);
}

// ---- plans ----

nsameta_status nsameta_plan_create(const nsameta_context* context, nsameta_op op, const void* args,
                                   nsameta_plan** plan) {
  return guarded([&] {
    if (plan == nullptr) return refuse_null("plan");
    *plan = nullptr;
    if (context == nullptr) return refuse_null("context");
    int32_t op_idx = 0;  // a C caller's op may be any number, which C++ must not read as an enum
    std::memcpy(&op_idx, &op, sizeof(op_idx));
    return dispatch::create_plan(*context, op_idx, args, plan);
  });
}

void nsameta_plan_destroy(nsameta_plan* plan) { delete plan; }

nsameta_status nsameta_plan_run(nsameta_plan* plan, int32_t batch, int64_t num_tokens_bound, int64_t max_kv_bound,
                                void* stream) {
  return guarded([&] {
    if (plan == nullptr) return refuse_null("plan");
    const dispatch::run_bounds bounds{batch, num_tokens_bound, max_kv_bound};
    const auto status = dispatch::check_bounds(bounds);
    return status == NSAMETA_OK ? plan->run(bounds, stream) : status;
  });
}

nsameta_status nsameta_plan_explain(const nsameta_plan* plan, int32_t batch, int64_t num_tokens_bound,
                                    int64_t max_kv_bound, char* text, size_t size, size_t* needed) {
  return guarded([&] {
    if (plan == nullptr) return refuse_null("plan");
    if (text == nullptr && size > 0) return refuse_null("text");
    const dispatch::run_bounds bounds{batch, num_tokens_bound, max_kv_bound};
    const auto status = dispatch::check_bounds(bounds);
    return status == NSAMETA_OK ? plan->explain(bounds, text, size, needed) : status;
  });
}

// ---- tuning ----

int32_t nsameta_context_num_tunables(const nsameta_context* context) {
  return context == nullptr || context->backend->num_tunables == nullptr ? 0 : context->backend->num_tunables();
}

nsameta_status nsameta_context_get_tunable(const nsameta_context* context, int32_t tunable_idx,
                                           nsameta_tunable* tunable) {
  if (context == nullptr) return refuse_null("context");
  if (tunable == nullptr) return refuse_null("tunable");
  const int32_t num_tunables = nsameta_context_num_tunables(context);
  if (tunable_idx < 0 || tunable_idx >= num_tunables) {
    return fail(NSAMETA_INVALID_ARGUMENT, "tunable_idx=%d must be in [0, %d), the tunables of backend %s", tunable_idx,
                num_tunables, context->backend->name);
  }
  return guarded([&] {
    context->backend->get_tunable(context->state, tunable_idx, tunable);
    return NSAMETA_OK;
  });
}

nsameta_status nsameta_context_set_tunable(nsameta_context* context, const char* name, int64_t value) {
  if (context == nullptr) return refuse_null("context");
  if (name == nullptr) return refuse_null("name");
  return guarded([&] {
    ++context->num_tunings;
    return dispatch::set_tunable(*context->backend, context->state, "", name, value);
  });
}

nsameta_status nsameta_get_tuning(int32_t backend_idx, int32_t device_idx, nsameta_tuning* tuning) {
  return guarded([&] {
    if (tuning == nullptr) return refuse_null("tuning");
    nsameta_device_info device{};
    if (const auto status = nsameta_get_device_info(backend_idx, device_idx, &device); status != NSAMETA_OK) {
      return status;
    }
    const dispatch::backend_entry* backend = nullptr;
    if (const auto status = dispatch::backend_at(backend_idx, &backend); status != NSAMETA_OK) return status;
    const dispatch::tuning_file& file = dispatch::process_tuning();
    const dispatch::tuning_entry* entry = nullptr;
    const auto status = dispatch::find_tuning(file, *backend->table, device, &entry);
    if (status != NSAMETA_OK) return status;
    const size_t num_values = entry == nullptr ? 0 : entry->values.size();
    *tuning = {file.path.c_str(), entry != nullptr, static_cast<int32_t>(num_values)};
    return NSAMETA_OK;
  });
}

}  // extern "C"
