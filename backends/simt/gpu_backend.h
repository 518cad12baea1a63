// The host side of a GPU backend, the same for every vendor: everything of the backend table but the operations and the
// probe. Generic over Api, which forwards to the vendor's runtime under the names that CUDA and HIP share, without
// their prefix:
//   error, stream, graph, graph_exec, properties, attribute    types
//   kDeviceType, kSuccess, kOutOfMemory, ...                   constants
//   malloc, free, memcpy_async, ...                            functions that return error
#pragma once

#include <cstdint>
#include <cstdio>
#include <new>

#include "backends/simt/gpu_state.h"
#include "backends/simt/prepared_launch.h"
#include "core/backend.h"
#include "core/text_writer.h"

namespace nsameta::simt {

template <class Api>
struct gpu_backend {
  using error = typename Api::error;
  using stream_t = typename Api::stream;

  static inline thread_local char message[512];

  static const char* last_error_message() { return message; }

  [[nodiscard]] static nsameta_status fail(nsameta_status status, const char* text) {
    std::snprintf(message, sizeof(message), "%s", text);
    return status;
  }

  // Keeps the message and returns the matching status; NSAMETA_OK for success.
  [[nodiscard]] static nsameta_status check(error result, const char* what) {
    if (result == Api::kSuccess) return NSAMETA_OK;
    std::snprintf(message, sizeof(message), "%s: %s (%s)", what, Api::error_string(result), Api::error_name(result));
    (void)Api::get_last_error();  // an error that is reported here must not surface in the caller's next call
    if (result == Api::kOutOfMemory) return NSAMETA_OUT_OF_MEMORY;
    return Api::means_no_device(result) ? NSAMETA_BACKEND_UNAVAILABLE : NSAMETA_DEVICE_ERROR;
  }

  // Makes a context's device current while it lives; costs one query where it is current already.
  class device_guard {
   public:
    explicit device_guard(int device_id) {
      int current = -1;
      if (Api::get_device(&current) != Api::kSuccess || current == device_id) return;
      if (Api::set_device(device_id) == Api::kSuccess) previous_ = current;
    }
    ~device_guard() {
      if (previous_ >= 0) (void)Api::set_device(previous_);
    }
    device_guard(const device_guard&) = delete;
    device_guard& operator=(const device_guard&) = delete;

   private:
    int previous_ = -1;
  };

  static const gpu_state& of(const void* opaque) { return *static_cast<const gpu_state*>(opaque); }

  static nsameta_status device_info(std::int32_t device_idx, nsameta_device_info* info) {
    typename Api::properties properties;
    const auto status = check(Api::get_device_properties(&properties, device_idx), "device properties");
    if (status != NSAMETA_OK) return status;
    *info = {};
    info->device = {Api::kDeviceType, device_idx};
    std::snprintf(info->name, sizeof(info->name), "%.127s", properties.name);
    Api::write_arch(properties, info->arch, sizeof(info->arch));
    info->memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
    info->warp_width = properties.warpSize;
    info->num_multiprocessors = properties.multiProcessorCount;
    return NSAMETA_OK;
  }

  // Attributes and not properties: the runtime collects those all at once, and a context needs two of them.
  static nsameta_status read_attributes(gpu_state* state) {
    const int id = state->device_id;
    const auto status = check(Api::device_get_attribute(&state->num_multiprocessors, Api::kMultiprocessorCount, id),
                              "multiprocessor count");
    return status != NSAMETA_OK ? status
                                : check(Api::device_get_attribute(&state->warp_width, Api::kWarpSize, id), "warp size");
  }

  static nsameta_status create(std::int32_t device_id, void** opaque, std::uint64_t** fault_word) {
    const device_guard guard(device_id);
    gpu_state state{};
    state.device_id = device_id;
    if (const auto status = read_attributes(&state); status != NSAMETA_OK) return status;
    state.has_bulk_copies = Api::has_bulk_copies(device_id);
    state.tuning = default_tunables();
    void* word = nullptr;
    if (const auto status = check(Api::host_alloc(&word, sizeof(std::uint64_t)), "pinned memory for the fault word");
        status != NSAMETA_OK) {
      return status;
    }
    state.fault_word = new (word) std::uint64_t{0};
    auto* created = new (std::nothrow) gpu_state{state};
    if (created == nullptr) {
      (void)Api::host_free(word);
      return fail(NSAMETA_OUT_OF_MEMORY, "out of host memory");
    }
    *fault_word = state.fault_word;
    *opaque = created;
    return NSAMETA_OK;
  }

  static void destroy(void* opaque) {
    (void)Api::host_free(of(opaque).fault_word);
    delete &of(opaque);
  }

  static nsameta_status alloc(void* opaque, std::size_t bytes, void** data) {
    const device_guard guard(of(opaque).device_id);
    return check(Api::malloc(data, bytes), "device memory");
  }

  static void free(void* opaque, void* data) {
    const device_guard guard(of(opaque).device_id);
    (void)Api::free(data);
  }

  static nsameta_status copy_to_device(void* opaque, void* device_data, const void* host_data, std::size_t bytes,
                                       void* stream) {
    const device_guard guard(of(opaque).device_id);
    const auto status =
        check(Api::memcpy_async(device_data, host_data, bytes, Api::kHostToDevice, static_cast<stream_t>(stream)),
              "copy to the device");
    return status != NSAMETA_OK ? status : synchronize(opaque, stream);
  }

  static nsameta_status copy_to_host(void* opaque, void* host_data, const void* device_data, std::size_t bytes,
                                     void* stream) {
    const device_guard guard(of(opaque).device_id);
    const auto status =
        check(Api::memcpy_async(host_data, device_data, bytes, Api::kDeviceToHost, static_cast<stream_t>(stream)),
              "copy to the host");
    return status != NSAMETA_OK ? status : synchronize(opaque, stream);
  }

  static nsameta_status synchronize(void* opaque, void* stream) {
    const device_guard guard(of(opaque).device_id);
    return check(Api::stream_synchronize(static_cast<stream_t>(stream)), "stream synchronisation");
  }

  static nsameta_status is_capturing(void* opaque, void* stream, std::int32_t* capturing) {
    const device_guard guard(of(opaque).device_id);
    bool is_active = false;
    const auto status = check(Api::stream_is_capturing(static_cast<stream_t>(stream), &is_active), "capture status");
    *capturing = is_active ? 1 : 0;
    return status;
  }

  static nsameta_status stream_create(void* opaque, void** stream) {
    const device_guard guard(of(opaque).device_id);
    stream_t created = nullptr;
    const auto status = check(Api::stream_create(&created), "stream creation");
    *stream = created;
    return status;
  }

  static void stream_destroy(void* opaque, void* stream) {
    const device_guard guard(of(opaque).device_id);
    (void)Api::stream_destroy(static_cast<stream_t>(stream));
  }

  static nsameta_status graph_begin(void* opaque, void* stream) {
    const device_guard guard(of(opaque).device_id);
    return check(Api::stream_begin_capture(static_cast<stream_t>(stream)), "begin of a capture");
  }

  static nsameta_status graph_end(void* opaque, void* stream, void** graph) {
    const device_guard guard(of(opaque).device_id);
    *graph = nullptr;
    typename Api::graph captured = nullptr;
    if (const auto status =
            check(Api::stream_end_capture(static_cast<stream_t>(stream), &captured), "end of a capture");
        status != NSAMETA_OK) {
      return status;
    }
    typename Api::graph_exec executable = nullptr;
    const auto status = check(Api::graph_instantiate(&executable, captured), "graph instantiation");
    (void)Api::graph_destroy(captured);
    *graph = executable;
    return status;
  }

  static nsameta_status graph_launch(void* opaque, void* graph, void* stream) {
    const device_guard guard(of(opaque).device_id);
    return check(Api::graph_launch(static_cast<typename Api::graph_exec>(graph), static_cast<stream_t>(stream)),
                 "graph launch");
  }

  static void graph_destroy(void* opaque, void* graph) {
    const device_guard guard(of(opaque).device_id);
    (void)Api::graph_exec_destroy(static_cast<typename Api::graph_exec>(graph));
  }

  static std::int32_t num_tunables() { return kNumTunables; }

  static void get_tunable(const void* opaque, std::int32_t tunable_idx, nsameta_tunable* tunable) {
    const tunable_description& of_list = kTunables[tunable_idx];
    const auto* const state = static_cast<const gpu_state*>(opaque);
    *tunable = {of_list.name,
                of_list.decides,
                of_list.measured,
                state == nullptr ? of_list.default_value : state->tuning.values[tunable_idx],
                of_list.default_value,
                of_list.least,
                of_list.most,
                of_list.op,
                0};
  }

  static void set_tunable(void* opaque, std::int32_t tunable_idx, std::int64_t value) {
    static_cast<gpu_state*>(opaque)->tuning.values[tunable_idx] = static_cast<std::int32_t>(value);
  }

  // An explain_<op> of the table, by the launch_<op>.h of the operation.
  template <class Rt, class Desc>
  static nsameta_status explain(const void* opaque, const Desc* desc, char* data, std::size_t size,
                                std::size_t* needed) {
    text_writer text(data, size);
    try {
      explain_launch(Rt{}, *desc, of(opaque), &text);
    } catch (const std::bad_alloc&) {
      return fail(NSAMETA_OUT_OF_MEMORY, "out of host memory");
    }
    *needed = text.needed();
    return NSAMETA_OK;
  }

  // `choose` fills a prepared_launch, and returns the runtime's error.
  template <class Choose>
  static nsameta_status prepare(const char* op, const Choose& choose, void** slot) {
    auto* prepared = static_cast<prepared_launch<Api>*>(*slot);
    if (prepared == nullptr) prepared = new (std::nothrow) prepared_launch<Api>;
    if (prepared == nullptr) return fail(NSAMETA_OUT_OF_MEMORY, "out of host memory");
    *slot = prepared;
    prepared->op = op;
    return check(choose(prepared), op);
  }

  static nsameta_status launch_prepared(void* opaque, const void* prepared, void* stream) {
    const device_guard guard(of(opaque).device_id);
    const auto& chosen = *static_cast<const prepared_launch<Api>*>(prepared);
    return check(chosen.run(chosen, static_cast<stream_t>(stream)), chosen.op);
  }

  static void release_prepared(void*, void* prepared) { delete static_cast<prepared_launch<Api>*>(prepared); }

  // The same at once.
  template <class Choose>
  static nsameta_status launch(void* opaque, const char* op, const Choose& choose, void* stream) {
    prepared_launch<Api> prepared;
    prepared.op = op;
    const auto status = check(choose(&prepared), op);
    return status != NSAMETA_OK ? status : launch_prepared(opaque, &prepared, stream);
  }

  // The table without its operations.
  static nsameta_backend make_table(const char* name, std::int32_t priority,
                                    nsameta_status (*probe)(std::int32_t* num_devices)) {
    nsameta_backend table{};
    table.abi_version = NSAMETA_BACKEND_ABI_VERSION;
    table.struct_size = sizeof(table);
    table.name = name;
    table.priority = priority;
    table.last_error_message = last_error_message;
    table.probe = probe;
    table.device_info = device_info;
    table.create = create;
    table.destroy = destroy;
    table.alloc = alloc;
    table.free = free;
    table.copy_to_device = copy_to_device;
    table.copy_to_host = copy_to_host;
    table.synchronize = synchronize;
    table.is_capturing = is_capturing;
    table.stream_create = stream_create;
    table.stream_destroy = stream_destroy;
    table.graph_begin = graph_begin;
    table.graph_end = graph_end;
    table.graph_launch = graph_launch;
    table.graph_destroy = graph_destroy;
    table.num_tunables = num_tunables;
    table.get_tunable = get_tunable;
    table.set_tunable = set_tunable;
    table.launch_prepared = launch_prepared;
    table.release_prepared = release_prepared;
    return table;
  }
};

}  // namespace nsameta::simt
