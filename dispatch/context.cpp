#include "dispatch/context.h"

#include <cstdio>
#include <memory>

#include "core/log.h"
#include "core/status.h"
#include "core/tensor.h"
#include "dispatch/select.h"
#include "dispatch/tuning.h"

nsameta_context::~nsameta_context() {
  if (is_staged() && owner_state != nullptr) owner->destroy(owner_state);
  if (state == nullptr) return;
  recent_calls.release(*backend, state);
  backend->destroy(state);
}

namespace nsameta::dispatch {
namespace {

void log_choice(nsameta_device device, const selection& chosen) {
  log(chosen.is_notable ? NSAMETA_LOG_INFO : NSAMETA_LOG_DEBUG, "backend %s%s for %s:%d: %s",
      chosen.backend->name.c_str(), chosen.staged() ? " (staged)" : "", device_type_name(device.type), device.id,
      chosen.reason.c_str());
}

}  // namespace

nsameta_status from_backend(const nsameta_backend& backend, nsameta_status status) {
  if (status == NSAMETA_OK) return status;
  // A copy: the built-in backend keeps its message where ours is about to be written.
  const char* message = backend.last_error_message();
  char text[1024];
  std::snprintf(text, sizeof(text), "%s",
                message != nullptr && *message != '\0' ? message : nsameta_status_name(status));
  return fail(status, "backend %s: %s", backend.name, text);
}

nsameta_status create_context(nsameta_device device, const char* name, nsameta_context** context) {
  const selection chosen = select(device, name, process_settings(), process_registry());
  if (chosen.status != NSAMETA_OK) return fail(chosen.status, "%s", chosen.message.c_str());
  auto created = std::make_unique<nsameta_context>();
  created->device = device;
  created->backend = chosen.backend->table;
  created->owner = chosen.owner->table;
  created->reason = chosen.reason;
  const int32_t id = chosen.staged() ? 0 : device.id;
  nsameta_status status = created->backend->create(id, &created->state, &created->fault_word);
  if (status != NSAMETA_OK) return from_backend(*created->backend, status);
  if (created->fault_word == nullptr) {
    return fail(NSAMETA_INTERNAL_ERROR, "backend %s: create gave no fault word", created->backend->name);
  }
  status = apply_process_tuning(*created->backend, id, created->state);
  if (status != NSAMETA_OK) return status;
  created->owner_state = created->state;
  if (chosen.staged()) {
    created->owner_state = nullptr;
    uint64_t* unused_fault_word = nullptr;
    status = created->owner->create(device.id, &created->owner_state, &unused_fault_word);
    if (status != NSAMETA_OK) return from_backend(*created->owner, status);
  }
  log_choice(device, chosen);
  *context = created.release();
  return NSAMETA_OK;
}

nsameta_fault decode_fault(uint64_t word) {
  const auto request = static_cast<int32_t>((word >> 32) & 0xFFFFFF);
  return {static_cast<int32_t>(word >> 56), request - 1, static_cast<int32_t>(static_cast<uint32_t>(word))};
}

}  // namespace nsameta::dispatch
