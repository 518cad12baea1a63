// The functions of device.h: the memory, streams and graphs of the backend that owns a context's memory.
#include "dispatch/context.h"
#include "dispatch/guard.h"
#include "nsameta/device.h"

namespace dispatch = nsameta::dispatch;
using dispatch::from_backend;
using dispatch::guarded;
using dispatch::refuse_null;
using nsameta::fail;

struct nsameta_graph {
  const nsameta_context* context;
  void* graph;
};

namespace {

nsameta_status refuse_graphs(const nsameta_context& context) {
  return fail(NSAMETA_UNSUPPORTED, "backend %s has no graphs", context.owner->name);
}

bool has_graphs(const nsameta_backend& backend) {
  return backend.graph_begin != nullptr && backend.graph_end != nullptr && backend.graph_launch != nullptr &&
         backend.graph_destroy != nullptr;
}

// A copy between host and device; `slot` does it.
template <class Slot, class... Arguments>
nsameta_status copy(const nsameta_context* context, const void* to, const void* from, size_t bytes, Slot slot,
                    Arguments... arguments) {
  if (context == nullptr) return refuse_null("context");
  if (bytes == 0) return NSAMETA_OK;
  if (to == nullptr) return refuse_null("destination");
  if (from == nullptr) return refuse_null("source");
  return from_backend(*context->owner, (context->owner->*slot)(context->owner_state, arguments...));
}

}  // namespace

extern "C" {

nsameta_status nsameta_device_alloc(const nsameta_context* context, size_t bytes, void** data) {
  return guarded([&] {
    if (data == nullptr) return refuse_null("data");
    *data = nullptr;
    if (context == nullptr) return refuse_null("context");
    if (bytes == 0) return NSAMETA_OK;
    return from_backend(*context->owner, context->owner->alloc(context->owner_state, bytes, data));
  });
}

void nsameta_device_free(const nsameta_context* context, void* data) {
  if (context != nullptr && data != nullptr) context->owner->free(context->owner_state, data);
}

nsameta_status nsameta_copy_to_device(const nsameta_context* context, void* device_data, const void* host_data,
                                      size_t bytes, void* stream) {
  return guarded([&] {
    return copy(context, device_data, host_data, bytes, &nsameta_backend::copy_to_device, device_data, host_data, bytes,
                stream);
  });
}

nsameta_status nsameta_copy_to_host(const nsameta_context* context, void* host_data, const void* device_data,
                                    size_t bytes, void* stream) {
  return guarded([&] {
    return copy(context, host_data, device_data, bytes, &nsameta_backend::copy_to_host, host_data, device_data, bytes,
                stream);
  });
}

nsameta_status nsameta_synchronize(const nsameta_context* context, void* stream) {
  return guarded([&] {
    if (context == nullptr) return refuse_null("context");
    return from_backend(*context->owner, context->owner->synchronize(context->owner_state, stream));
  });
}

nsameta_status nsameta_stream_create(const nsameta_context* context, void** stream) {
  return guarded([&] {
    if (stream == nullptr) return refuse_null("stream");
    *stream = nullptr;
    if (context == nullptr) return refuse_null("context");
    return from_backend(*context->owner, context->owner->stream_create(context->owner_state, stream));
  });
}

void nsameta_stream_destroy(const nsameta_context* context, void* stream) {
  if (context != nullptr && stream != nullptr) context->owner->stream_destroy(context->owner_state, stream);
}

nsameta_status nsameta_graph_begin(const nsameta_context* context, void* stream) {
  return guarded([&] {
    if (context == nullptr) return refuse_null("context");
    if (!has_graphs(*context->owner)) return refuse_graphs(*context);
    return from_backend(*context->owner, context->owner->graph_begin(context->owner_state, stream));
  });
}

nsameta_status nsameta_graph_end(const nsameta_context* context, void* stream, nsameta_graph** graph) {
  return guarded([&] {
    if (graph == nullptr) return refuse_null("graph");
    *graph = nullptr;
    if (context == nullptr) return refuse_null("context");
    if (!has_graphs(*context->owner)) return refuse_graphs(*context);
    auto* const created = new nsameta_graph{context, nullptr};
    const auto status = context->owner->graph_end(context->owner_state, stream, &created->graph);
    if (status == NSAMETA_OK) {
      *graph = created;
    } else {
      delete created;
    }
    return from_backend(*context->owner, status);
  });
}

nsameta_status nsameta_graph_launch(nsameta_graph* graph, void* stream) {
  return guarded([&] {
    if (graph == nullptr) return refuse_null("graph");
    const nsameta_context& context = *graph->context;
    return from_backend(*context.owner, context.owner->graph_launch(context.owner_state, graph->graph, stream));
  });
}

void nsameta_graph_destroy(nsameta_graph* graph) {
  if (graph == nullptr) return;
  graph->context->owner->graph_destroy(graph->context->owner_state, graph->graph);
  delete graph;
}

}  // extern "C"
