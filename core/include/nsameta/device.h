/* Device services of a context: memory, streams and graphs of the backend that owns the context's memory, without
 * linking a GPU runtime. For programs that have no framework of their own (the nsameta program, tests, benchmarks);
 * an engine keeps its own allocator and streams. */
#ifndef NSAMETA_DEVICE_H
#define NSAMETA_DEVICE_H

#include "nsameta/nsameta.h"

#ifdef __cplusplus
extern "C" {
#endif

/* At least 256-byte aligned; bytes == 0 gives NULL. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_device_alloc(const nsameta_context* context, size_t bytes,
                                                                  void** data);
NSAMETA_API void nsameta_device_free(const nsameta_context* context, void* data);
/* Both return after the copy is done, and it is ordered after earlier work of `stream`. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_copy_to_device(const nsameta_context* context, void* device_data,
                                                                    const void* host_data, size_t bytes, void* stream);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_copy_to_host(const nsameta_context* context, void* host_data,
                                                                  const void* device_data, size_t bytes, void* stream);
/* Waits for `stream`. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_synchronize(const nsameta_context* context, void* stream);

/* The CPU has no streams: *stream is NULL. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_stream_create(const nsameta_context* context, void** stream);
NSAMETA_API void nsameta_stream_destroy(const nsameta_context* context, void* stream);

/* Captures what is launched on `stream` between begin and end into a graph. UNSUPPORTED on the CPU. A capture that
 * failed is ended as well: *graph is NULL then. */
typedef struct nsameta_graph nsameta_graph;
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_graph_begin(const nsameta_context* context, void* stream);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_graph_end(const nsameta_context* context, void* stream,
                                                               nsameta_graph** graph);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_graph_launch(nsameta_graph* graph, void* stream);
NSAMETA_API void nsameta_graph_destroy(nsameta_graph* graph);

#ifdef __cplusplus
}
#endif

#endif
