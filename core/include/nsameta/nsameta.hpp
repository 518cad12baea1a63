// nsameta for C++17 and later: owning handles over the C ABI. Header only. Every function throws nsameta::error with
// the library's message when the C function behind it fails; destructors never throw. Handles move and do not copy.
//
//   nsameta::context context({NSAMETA_DEVICE_CPU, 0});
//   nsameta::build_metadata_args args;
//   args.mode = NSAMETA_MODE_DECODE;
//   args.topk = 2048;
//   args.seq_lens = nsameta::make_tensor(lens.data(), lens.size(), context.device());
//   args.cu_seqlens_k = nsameta::make_tensor(cu.data(), cu.size(), context.device());
//   context.build_metadata(args);
#ifndef NSAMETA_NSAMETA_HPP
#define NSAMETA_NSAMETA_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "nsameta/device.h"
#include "nsameta/nsameta.h"

namespace nsameta {

// ---- errors -------------------------------------------------------------------------------------------------------

class error : public std::runtime_error {
 public:
  error(nsameta_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
  nsameta_status status() const noexcept { return status_; }

 private:
  nsameta_status status_;
};

// Throws what the last C call of this thread left behind, unless it went well.
inline void throw_on_failure(nsameta_status status) {
  if (status != NSAMETA_OK) throw error(status, nsameta_last_error_message());
}

// ---- tensors ------------------------------------------------------------------------------------------------------

inline constexpr nsameta_device kCpuDevice{NSAMETA_DEVICE_CPU, 0};

template <class T>
constexpr nsameta_dtype dtype_of() {
  using element = std::remove_cv_t<T>;
  static_assert(std::is_same_v<element, std::int32_t> || std::is_same_v<element, std::int64_t>,
                "elements are int32 or int64");
  return std::is_same_v<element, std::int64_t> ? NSAMETA_INT64 : NSAMETA_INT32;
}

// View of `size` elements, `stride` elements apart. Const data is for inputs.
template <class T>
nsameta_tensor make_tensor(T* data, std::size_t size, nsameta_device device = kCpuDevice, std::int64_t stride = 1) {
  nsameta_tensor tensor{};
  tensor.data = const_cast<std::remove_cv_t<T>*>(data);
  tensor.shape[0] = static_cast<std::int64_t>(size);
  tensor.strides[0] = stride;
  tensor.ndim = 1;
  tensor.dtype = dtype_of<T>();
  tensor.device = device;
  return tensor;
}

// View of [num_rows, num_columns]; rows are `row_stride` elements apart.
template <class T>
nsameta_tensor make_tensor_2d(T* data, std::size_t num_rows, std::size_t num_columns, std::int64_t row_stride,
                              nsameta_device device = kCpuDevice) {
  nsameta_tensor tensor = make_tensor(data, num_rows, device, row_stride);
  tensor.shape[1] = static_cast<std::int64_t>(num_columns);
  tensor.strides[1] = 1;
  tensor.ndim = 2;
  return tensor;
}

// The C struct, with its defaults set.
struct build_metadata_args : nsameta_build_metadata_args {
  build_metadata_args() noexcept : nsameta_build_metadata_args{} { nsameta_build_metadata_args_init(this); }
};

struct copy_metadata_args : nsameta_copy_metadata_args {
  copy_metadata_args() noexcept : nsameta_copy_metadata_args{} { nsameta_copy_metadata_args_init(this); }
  // Refers to `list`, which must live until the args have been used.
  explicit copy_metadata_args(const std::vector<nsameta_copy_pair>& list) noexcept : copy_metadata_args() {
    num_pairs = static_cast<std::int32_t>(list.size());
    pairs = list.data();
  }
};

struct map_topk_to_slots_args : nsameta_map_topk_to_slots_args {
  map_topk_to_slots_args() noexcept : nsameta_map_topk_to_slots_args{} { nsameta_map_topk_to_slots_args_init(this); }
};

struct mla_schedule_args : nsameta_mla_schedule_args {
  mla_schedule_args() noexcept : nsameta_mla_schedule_args{} { nsameta_mla_schedule_args_init(this); }
};

// ---- backends -----------------------------------------------------------------------------------------------------

struct backend_info {
  std::string name;
  std::string reason;  // why it is not usable
  std::string path;    // "" when built in
  bool usable = false;
  std::int32_t priority = 0;
  std::vector<nsameta_device_info> devices;
};

// Every backend, usable or not, by priority.
inline std::vector<backend_info> backends() {
  std::vector<backend_info> all;
  const std::int32_t num_backends = nsameta_num_backends();
  for (std::int32_t backend_idx = 0; backend_idx < num_backends; ++backend_idx) {
    nsameta_backend_info raw{};
    throw_on_failure(nsameta_get_backend_info(backend_idx, &raw));
    backend_info info{raw.name, raw.reason, raw.path, raw.usable != 0, raw.priority, {}};
    for (std::int32_t device_idx = 0; device_idx < raw.num_devices; ++device_idx) {
      info.devices.emplace_back();
      throw_on_failure(nsameta_get_device_info(backend_idx, device_idx, &info.devices.back()));
    }
    all.push_back(std::move(info));
  }
  return all;
}

struct selection {
  std::string backend;  // "" when none can serve
  bool staged = false;
  std::string reason;
};

// What a context for this memory would use. backend: "" or "auto" when no particular one is asked for.
inline selection select(nsameta_device device, const std::string& backend = "") {
  nsameta_selection raw{};
  throw_on_failure(nsameta_select_backend(device, backend.c_str(), &raw));
  return {raw.backend == nullptr ? "" : raw.backend, raw.staged != 0, raw.reason};
}

// ---- handles ------------------------------------------------------------------------------------------------------

namespace detail {

template <auto Destroy>
struct destroyer {
  template <class T>
  void operator()(T* handle) const noexcept {
    Destroy(handle);
  }
};

template <class T, auto Destroy>
using handle = std::unique_ptr<T, destroyer<Destroy>>;

// Returns to the context's backend what came from it.
template <auto Destroy>
struct returner {
  const nsameta_context* context = nullptr;
  void operator()(void* resource) const noexcept { Destroy(context, resource); }
};

template <auto Destroy>
using resource = std::unique_ptr<void, returner<Destroy>>;

}  // namespace detail

// Outlives the plans, streams, buffers and graphs that are made with it.
class context {
 public:
  explicit context(nsameta_device device = kCpuDevice, const std::string& backend = "") {
    nsameta_context* raw = nullptr;
    throw_on_failure(nsameta_context_create(device, backend.c_str(), &raw));
    handle_.reset(raw);
  }

  nsameta_context* get() const noexcept { return handle_.get(); }
  const char* backend() const noexcept { return nsameta_context_backend(get()); }
  nsameta_device device() const noexcept { return nsameta_context_device(get()); }
  bool is_staged() const noexcept { return nsameta_context_is_staged(get()) != 0; }
  std::uint64_t num_launches() const noexcept { return nsameta_context_num_launches(get()); }

  // The first fault that a launch found in its data; check == NSAMETA_CHECK_NONE when there is none.
  nsameta_fault fault() const {
    nsameta_fault found{};
    throw_on_failure(nsameta_context_error(get(), &found));
    return found;
  }
  void clear_fault() { throw_on_failure(nsameta_context_clear_error(get())); }

  // Numbers that change the speed of calls and never their results, with this context's values.
  std::vector<nsameta_tunable> tunables() const {
    std::vector<nsameta_tunable> all;
    const std::int32_t num_tunables = nsameta_context_num_tunables(get());
    for (std::int32_t tunable_idx = 0; tunable_idx < num_tunables; ++tunable_idx) {
      throw_on_failure(nsameta_context_get_tunable(get(), tunable_idx, &all.emplace_back()));
    }
    return all;
  }
  void set_tunable(const std::string& name, std::int64_t value) {
    throw_on_failure(nsameta_context_set_tunable(get(), name.c_str(), value));
  }

  void build_metadata(const nsameta_build_metadata_args& args, void* stream = nullptr) const {
    throw_on_failure(nsameta_build_metadata(get(), &args, stream));
  }
  void copy_metadata(const nsameta_copy_metadata_args& args, void* stream = nullptr) const {
    throw_on_failure(nsameta_copy_metadata(get(), &args, stream));
  }
  void map_topk_to_slots(const nsameta_map_topk_to_slots_args& args, void* stream = nullptr) const {
    throw_on_failure(nsameta_map_topk_to_slots(get(), &args, stream));
  }
  void mla_schedule(const nsameta_mla_schedule_args& args, void* stream = nullptr) const {
    throw_on_failure(nsameta_mla_schedule(get(), &args, stream));
  }

  void copy_to_device(void* device_data, const void* host_data, std::size_t bytes, void* stream = nullptr) const {
    throw_on_failure(nsameta_copy_to_device(get(), device_data, host_data, bytes, stream));
  }
  void copy_to_host(void* host_data, const void* device_data, std::size_t bytes, void* stream = nullptr) const {
    throw_on_failure(nsameta_copy_to_host(get(), host_data, device_data, bytes, stream));
  }
  void synchronize(void* stream = nullptr) const { throw_on_failure(nsameta_synchronize(get(), stream)); }

 private:
  detail::handle<nsameta_context, &nsameta_context_destroy> handle_;
};

// Arguments of one operation, checked and bound once.
class plan {
 public:
  plan(const context& owner, const nsameta_build_metadata_args& args)
      : handle_(create(owner, NSAMETA_OP_BUILD_METADATA, &args)) {}
  plan(const context& owner, const nsameta_copy_metadata_args& args)
      : handle_(create(owner, NSAMETA_OP_COPY_METADATA, &args)) {}
  plan(const context& owner, const nsameta_map_topk_to_slots_args& args)
      : handle_(create(owner, NSAMETA_OP_MAP_TOPK_TO_SLOTS, &args)) {}
  plan(const context& owner, const nsameta_mla_schedule_args& args)
      : handle_(create(owner, NSAMETA_OP_MLA_SCHEDULE, &args)) {}

  nsameta_plan* get() const noexcept { return handle_.get(); }

  // batch -1: the plan's own. map_topk_to_slots counts tokens; copy_metadata takes -1 alone.
  void run(void* stream = nullptr, std::int32_t batch = -1, std::int64_t num_tokens_bound = -1,
           std::int64_t max_kv_bound = -1) {
    throw_on_failure(nsameta_plan_run(get(), batch, num_tokens_bound, max_kv_bound, stream));
  }

  // What such a run would choose, and why: lines `key: value`, see nsameta_plan_explain.
  std::string explain(std::int32_t batch = -1, std::int64_t num_tokens_bound = -1,
                      std::int64_t max_kv_bound = -1) const {
    std::size_t needed = 0;
    throw_on_failure(nsameta_plan_explain(get(), batch, num_tokens_bound, max_kv_bound, nullptr, 0, &needed));
    std::string text(needed, '\0');
    throw_on_failure(
        nsameta_plan_explain(get(), batch, num_tokens_bound, max_kv_bound, text.data(), text.size(), nullptr));
    text.pop_back();
    return text;
  }

 private:
  static nsameta_plan* create(const context& owner, nsameta_op op, const void* args) {
    nsameta_plan* raw = nullptr;
    throw_on_failure(nsameta_plan_create(owner.get(), op, args, &raw));
    return raw;
  }

  detail::handle<nsameta_plan, &nsameta_plan_destroy> handle_;
};

class stream {
 public:
  explicit stream(const context& owner) : handle_(nullptr, {owner.get()}) {
    void* raw = nullptr;
    throw_on_failure(nsameta_stream_create(owner.get(), &raw));
    handle_.reset(raw);
  }

  // What the functions with a `stream` parameter take; NULL on the CPU.
  void* get() const noexcept { return handle_.get(); }
  void synchronize() const { throw_on_failure(nsameta_synchronize(handle_.get_deleter().context, get())); }

 private:
  detail::resource<&nsameta_stream_destroy> handle_;
};

// Memory of the context's device.
class device_buffer {
 public:
  device_buffer() = default;
  device_buffer(const context& owner, std::size_t bytes) : handle_(nullptr, {owner.get()}), bytes_(bytes) {
    void* raw = nullptr;
    throw_on_failure(nsameta_device_alloc(owner.get(), bytes, &raw));
    handle_.reset(raw);
  }

  void* data() const noexcept { return handle_.get(); }
  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(data());
  }
  std::size_t bytes() const noexcept { return handle_ == nullptr ? 0 : bytes_; }

 private:
  detail::resource<&nsameta_device_free> handle_;
  std::size_t bytes_ = 0;
};

class graph {
 public:
  // Captures what `launch()` puts on `captured`. An exception of it ends the capture and passes on.
  template <class Launch>
  graph(const context& owner, const stream& captured, Launch&& launch) {
    throw_on_failure(nsameta_graph_begin(owner.get(), captured.get()));
    nsameta_graph* raw = nullptr;
    try {
      std::forward<Launch>(launch)();
    } catch (...) {
      if (nsameta_graph_end(owner.get(), captured.get(), &raw) == NSAMETA_OK) nsameta_graph_destroy(raw);
      throw;
    }
    throw_on_failure(nsameta_graph_end(owner.get(), captured.get(), &raw));
    handle_.reset(raw);
  }

  nsameta_graph* get() const noexcept { return handle_.get(); }
  void launch(const stream& on) const { throw_on_failure(nsameta_graph_launch(get(), on.get())); }

 private:
  detail::handle<nsameta_graph, &nsameta_graph_destroy> handle_;
};

// ---- presets ------------------------------------------------------------------------------------------------------

inline void fill_draft_extend_metadata_fused_simple(const context& on, const nsameta_tensor& extend_seq_lens,
                                                    const nsameta_tensor& seq_lens, std::int32_t topk,
                                                    const nsameta_tensor& seqlens_expanded,
                                                    const nsameta_tensor& nsa_cache_seqlens, void* stream = nullptr) {
  throw_on_failure(nsameta_fill_draft_extend_metadata_fused_simple(on.get(), &extend_seq_lens, &seq_lens, topk,
                                                                   &seqlens_expanded, &nsa_cache_seqlens, stream));
}

// total_tokens may be NULL.
inline void fill_draft_extend_metadata_inplace(const context& on, const nsameta_tensor& extend_seq_lens,
                                               const nsameta_tensor& seq_lens, std::int32_t topk,
                                               const nsameta_tensor& seqlens_expanded,
                                               const nsameta_tensor& nsa_cache_seqlens,
                                               const nsameta_tensor* total_tokens = nullptr, void* stream = nullptr) {
  throw_on_failure(nsameta_fill_draft_extend_metadata_inplace(
      on.get(), &extend_seq_lens, &seq_lens, topk, &seqlens_expanded, &nsa_cache_seqlens, total_tokens, stream));
}

inline void fill_draft_extend_metadata_fused(const context& on, const nsameta_tensor& extend_seq_lens,
                                             const nsameta_tensor& seq_lens, std::int32_t topk,
                                             const nsameta_tensor& seqlens_expanded,
                                             const nsameta_tensor& nsa_cache_seqlens,
                                             const nsameta_tensor& cache_seqlens, const nsameta_tensor& cu_seqlens_k,
                                             void* stream = nullptr) {
  throw_on_failure(nsameta_fill_draft_extend_metadata_fused(on.get(), &extend_seq_lens, &seq_lens, topk,
                                                            &seqlens_expanded, &nsa_cache_seqlens, &cache_seqlens,
                                                            &cu_seqlens_k, stream));
}

}  // namespace nsameta

#endif
