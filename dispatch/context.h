// The state behind nsameta_context, and the calls into a backend's table that more than one file makes.
#pragma once

#include <atomic>
#include <string>

#include "core/backend.h"
#include "dispatch/recent_calls.h"

struct nsameta_context {
  nsameta_device device{};
  const nsameta_backend* backend = nullptr;  // runs the operations
  void* state = nullptr;
  uint64_t* fault_word = nullptr;
  // Owns the memory, streams and graphs: `backend` itself, or in a staged context the one that reads this memory.
  const nsameta_backend* owner = nullptr;
  void* owner_state = nullptr;
  std::string reason;  // why this backend was chosen
  mutable std::atomic<uint64_t> num_launches{0};
  uint64_t num_tunings = 0;  // plans choose again when it has changed
  mutable nsameta::dispatch::recent_calls recent_calls;

  nsameta_context() = default;
  nsameta_context(const nsameta_context&) = delete;
  nsameta_context& operator=(const nsameta_context&) = delete;
  ~nsameta_context();

  bool is_staged() const { return owner != backend; }
  void count_launch() const { num_launches.fetch_add(1, std::memory_order_relaxed); }
};

namespace nsameta::dispatch {

// Passes a status of `backend` on, with the backend's name before its message.
[[nodiscard]] nsameta_status from_backend(const nsameta_backend& backend, nsameta_status status);

[[nodiscard]] nsameta_status create_context(nsameta_device device, const char* name, nsameta_context** context);

nsameta_fault decode_fault(uint64_t word);

}  // namespace nsameta::dispatch
