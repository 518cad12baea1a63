/* nsameta: builds the integer metadata of sparse attention (NSA/DSA) on the device. Public C ABI.
 *
 * Usage: create a context for the device whose memory the tensors live in, fill an args struct, call the operation on
 * a stream; or bind the same args once to a plan and run that every step. Nothing here throws, prints or aborts:
 * each function returns a status, and nsameta_last_error_message() tells which argument broke which rule.
 *
 * Threads: functions that take a const context may be called from many threads at once. A plan belongs to one thread
 * at a time; different plans are independent.
 */
#ifndef NSAMETA_NSAMETA_H
#define NSAMETA_NSAMETA_H

#include <stddef.h>
#include <stdint.h>

#define NSAMETA_VERSION_MAJOR 0
#define NSAMETA_VERSION_MINOR 1
#define NSAMETA_VERSION_PATCH 0
/* Raised whenever a struct, enum value or function of this header changes incompatibly. */
#define NSAMETA_ABI_VERSION 1

#if defined(__GNUC__)
#define NSAMETA_API __attribute__((visibility("default")))
#define NSAMETA_NODISCARD __attribute__((warn_unused_result))
#else
#define NSAMETA_API
#define NSAMETA_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ------------------------------------------------------------------------------------------------- */

typedef enum nsameta_status {
  NSAMETA_OK = 0,
  NSAMETA_INVALID_ARGUMENT = 1,    /* the message names argument, value and rule; nothing was written */
  NSAMETA_BACKEND_UNAVAILABLE = 2, /* the message lists every backend and why it was refused */
  NSAMETA_UNSUPPORTED = 3,         /* not possible here, such as a staged run while a graph is captured */
  NSAMETA_OUT_OF_MEMORY = 4,
  NSAMETA_DEVICE_ERROR = 5, /* the GPU runtime reported a failure; the message carries its text */
  NSAMETA_INTERNAL_ERROR = 6
} nsameta_status;

/* "NSAMETA_OK", ...; never NULL. */
NSAMETA_API const char* nsameta_status_name(nsameta_status status);
/* Message of the last failure in this thread, "" if none. Valid until the next failing call of this thread. */
NSAMETA_API const char* nsameta_last_error_message(void);

/* "0.1.0" */
NSAMETA_API const char* nsameta_version_string(void);
/* NSAMETA_ABI_VERSION of the library that was loaded. */
NSAMETA_API uint32_t nsameta_abi_version(void);
/* Compiler and build type, one line. */
NSAMETA_API const char* nsameta_build_string(void);

/* ---- log ---------------------------------------------------------------------------------------------------- */

typedef enum nsameta_log_level {
  NSAMETA_LOG_OFF = 0,
  NSAMETA_LOG_ERROR = 1,
  NSAMETA_LOG_WARN = 2,
  NSAMETA_LOG_INFO = 3,
  NSAMETA_LOG_DEBUG = 4
} nsameta_log_level;

typedef void (*nsameta_log_fn)(nsameta_log_level level, const char* message, void* user);

/* Sends messages up to `level` to `fn` instead of standard error; fn == NULL restores the default, which is silence
 * unless the environment says NSAMETA_LOG=error|warn|info|debug. No message is ever sent by plan_run or by an
 * operation that succeeds. */
NSAMETA_API void nsameta_set_log_callback(nsameta_log_fn fn, void* user, nsameta_log_level level);

/* ---- devices and tensors ------------------------------------------------------------------------------------ */

/* DLPack's DLDeviceType. */
typedef enum nsameta_device_type {
  NSAMETA_DEVICE_CPU = 1,
  NSAMETA_DEVICE_CUDA = 2,
  NSAMETA_DEVICE_ROCM = 10
} nsameta_device_type;

typedef struct nsameta_device {
  int32_t type; /* nsameta_device_type */
  int32_t id;   /* ordinal; 0 for the CPU */
} nsameta_device;

typedef enum nsameta_dtype { NSAMETA_INT32 = 0, NSAMETA_INT64 = 1 } nsameta_dtype;

/* A view of memory that the caller owns. ndim == 0 means "absent" (zero-initialise), and so does data == NULL, unless
 * the shape says that there is no element. Strides count elements, not bytes, and may be anything for an input; data is
 * aligned to its dtype. ndim is 1 or 2; a 1-D view leaves shape[1] and strides[1] 0. */
typedef struct nsameta_tensor {
  void* data;
  int64_t shape[2];
  int64_t strides[2];
  int32_t ndim;
  int32_t dtype; /* nsameta_dtype */
  nsameta_device device;
} nsameta_tensor;

/* ---- backends ----------------------------------------------------------------------------------------------- */

typedef struct nsameta_backend_info {
  const char* name;   /* "cuda", "hip", "cpu", or what a third party calls its own */
  const char* reason; /* why it is not usable; "" when it is */
  const char* path;   /* file it was loaded from; "" when built in */
  int32_t usable;
  int32_t num_devices;
  int32_t priority; /* among the backends that accept a memory, the highest usable one is chosen */
} nsameta_backend_info;

typedef struct nsameta_device_info {
  nsameta_device device;
  char name[128];
  char arch[32]; /* "sm_90", "gfx942", "x86-64" */
  int64_t memory_bytes;
  int32_t warp_width; /* 1 on a CPU */
  int32_t num_multiprocessors;
} nsameta_device_info;

typedef struct nsameta_selection {
  const char* backend; /* runs the operations; NULL when none can */
  int32_t staged;      /* 1: tensors travel to the host and back, since the backend cannot read this memory */
  const char* reason;  /* one sentence; valid until this thread's next call */
} nsameta_selection;

/* The first call of any of these loads and probes the backends, once per process. Strings live as long as the process
 * unless said otherwise. */
NSAMETA_API int32_t nsameta_num_backends(void);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_get_backend_info(int32_t backend_idx, nsameta_backend_info* info);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_get_device_info(int32_t backend_idx, int32_t device_idx,
                                                                     nsameta_device_info* info);
/* What nsameta_context_create would choose for this memory, without creating anything. OK even when none can serve
 * (selection->backend is NULL then); INVALID_ARGUMENT when an environment override cannot be read. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_select_backend(nsameta_device device, const char* backend,
                                                                    nsameta_selection* selection);

/* ---- context ------------------------------------------------------------------------------------------------ */

typedef struct nsameta_context nsameta_context;

/* Context for tensors in the memory of `device`. backend: NULL or "auto" lets, in this order,
 * NSAMETA_BACKEND=auto|cuda| hip|cpu, SGLANG_NSA_USE_TRITON_METADATA=0 (means cpu) and priority decide; a name asks for
 * that one backend. A name that is unknown or not usable is an error, never replaced. Both variables are read once per
 * process. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_context_create(nsameta_device device, const char* backend,
                                                                    nsameta_context** context);
/* NULL is allowed. Plans of the context must be destroyed first, and its streams drained. */
NSAMETA_API void nsameta_context_destroy(nsameta_context* context);
NSAMETA_API const char* nsameta_context_backend(const nsameta_context* context);
NSAMETA_API nsameta_device nsameta_context_device(const nsameta_context* context);
/* 1 when operations run on the CPU for tensors on a device: each call then copies and synchronises. */
NSAMETA_API int32_t nsameta_context_is_staged(const nsameta_context* context);
/* Operations handed to the backend so far, one-shot and by plan (replays of a captured graph are not seen). */
NSAMETA_API uint64_t nsameta_context_num_launches(const nsameta_context* context);

/* Faults in data that only the device can see. The first one stays until it is cleared. */
typedef enum nsameta_check {
  NSAMETA_CHECK_NONE = 0,
  NSAMETA_CHECK_TOKENS_OVER_CAPACITY = 1, /* value: T; each output was filled up to its own capacity */
  NSAMETA_CHECK_NEGATIVE_KV = 2,          /* value: the kv length, which counted as 0 */
  NSAMETA_CHECK_NEGATIVE_QUERY = 3        /* value: the extend length, which counted as 0 */
} nsameta_check;

typedef struct nsameta_fault {
  int32_t check;       /* nsameta_check */
  int32_t request_idx; /* -1: not tied to one request */
  int64_t value;
} nsameta_fault;

/* Reads the fault word without a synchronisation: a fault of a launch that still runs may not be there yet. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_context_error(const nsameta_context* context,
                                                                   nsameta_fault* fault);
/* The caller sees to it that no launch of this context is running. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_context_clear_error(nsameta_context* context);

/* ---- build_metadata ----------------------------------------------------------------------------------------- */

/* Request r has kv[r] visible keys after this step and q[r] query tokens in it; start = exclusive prefix sum of q and
 * T = sum of q. Token j of request r sees  visible = kv[r] - q[r] + 1 + j  keys, and
 *   dsa(x) = min(x, topk)                       for kpool == 1
 *   dsa(x) = min(f, topk) + x - f,  f = x // kpool * kpool   otherwise (// is floor division)
 * is how many of them the sparse kernel reads. */
typedef enum nsameta_mode {
  NSAMETA_MODE_DECODE = 0,        /* kv = seq_lens,     q = 1 */
  NSAMETA_MODE_TARGET_VERIFY = 1, /* kv = seq_lens + n, q = n = tokens_per_request */
  NSAMETA_MODE_DRAFT_EXTEND = 2,  /* kv = seq_lens,     q = extend_seq_lens or a constant; clamps by default */
  NSAMETA_MODE_EXTEND = 3         /* kv = seq_lens,     q = extend_seq_lens or a constant */
} nsameta_mode;

/* On: visible = max(visible, 0), so that padded rows (kv < q) hold 0 and not a negative number. */
typedef enum nsameta_clamp { NSAMETA_CLAMP_DEFAULT = 0, NSAMETA_CLAMP_OFF = 1, NSAMETA_CLAMP_ON = 2 } nsameta_clamp;

/* What per-token outputs hold from T (T+1 for nsa_cu_seqlens_k) to their capacity. Nothing is filled when T == 0. */
typedef enum nsameta_tail {
  NSAMETA_TAIL_KEEP = 0, /* untouched */
  NSAMETA_TAIL_ZERO = 1,
  NSAMETA_TAIL_LAST = 2, /* the output's own last value */
  NSAMETA_TAIL_MINUS_ONE = 3
} nsameta_tail;

/* Set the defaults with nsameta_build_metadata_args_init, then fill what is needed. B is the batch.
 *
 * Every output is optional; what is absent is neither computed nor written. Outputs are int32 with stride 1 unless
 * said, and overlap neither each other nor an input. The capacity of an output is shape[0]; it is checked on the host
 * where the host knows the count, and on the device otherwise: tokens beyond a capacity are never written, and
 * nsameta_context_error reports them. At most 2^31 - 2^20 - 1 elements of an output are used. Prefix sums wrap like
 * int32. cu(x) has B+1 or T+1 elements and begins with 0.
 *
 * B == 0 writes element [0] of the cu outputs and total_tokens, nothing else. T == 0 with B > 0 writes the per-request
 * outputs, element [0] of nsa_cu_seqlens_k and total_tokens, nothing else. */
typedef struct nsameta_build_metadata_args {
  size_t struct_size; /* sizeof(nsameta_build_metadata_args) of the caller */
  int32_t mode;       /* nsameta_mode */
  int32_t batch;      /* requests; -1: seq_lens.shape[0]. In a plan: the largest batch it will run */
  /* Constant q of every request; 0: taken from extend_seq_lens. target_verify needs it, decode takes 0 or 1. */
  int32_t tokens_per_request;
  int32_t static_width; /* 1: extend_seq_lens[0], read on the device, is the constant q of every request */
  int32_t topk;         /* > 0 */
  int32_t kpool;        /* >= 1; 1: off */
  int32_t clamp;        /* nsameta_clamp */
  int32_t tail;         /* nsameta_tail */
  /* Upper bound of T that the host knows, -1 if none. Sizes the launch; a T above it is still built right. */
  int64_t num_tokens_bound;

  nsameta_tensor seq_lens;        /* [>= B] int32 or int64 (truncated to int32), any stride */
  nsameta_tensor extend_seq_lens; /* [>= B] ([>= 1] with static_width), likewise; absent where q is constant */

  nsameta_tensor seqlens_expanded;      /* [>= T] visible */
  nsameta_tensor nsa_cache_seqlens;     /* [>= T] dsa(visible) */
  nsameta_tensor nsa_cu_seqlens_k;      /* [>= T+1] cu(dsa(visible)) */
  nsameta_tensor cache_seqlens;         /* [>= B] kv */
  nsameta_tensor cu_seqlens_k;          /* [>= B+1] cu(kv) */
  nsameta_tensor cu_seqlens_q;          /* [>= B+1] cu(q) */
  nsameta_tensor token_to_batch_idx;    /* [>= T] r */
  nsameta_tensor positions;             /* [>= T] visible - 1; int32 or int64 */
  nsameta_tensor topk_indices_offset;   /* [>= T] cu_seqlens_k[r] */
  nsameta_tensor indexer_ks;            /* [>= T] cu_seqlens_k[r] */
  nsameta_tensor indexer_ke;            /* [>= T] cu_seqlens_k[r] + visible */
  nsameta_tensor paged_mqa_ctx_lens_2d; /* [>= B, n] kv in all n columns; n = q where q is a host constant; row stride
                                           >= n, column stride 1 */
  nsameta_tensor total_tokens;          /* [>= 1] T, at most 2^31 - 1 */
} nsameta_build_metadata_args;

NSAMETA_API void nsameta_build_metadata_args_init(nsameta_build_metadata_args* args);

/* One launch on `stream` (cudaStream_t or hipStream_t; ignored by the CPU); no synchronisation and no allocation,
 * except in a staged context, which does both. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_build_metadata(const nsameta_context* context,
                                                                    const nsameta_build_metadata_args* args,
                                                                    void* stream);

/* ---- presets: the functions that engines call today ----------------------------------------------------------- */

/* Draft-extend with no clamp, kpool off and tail kept. All tensors 1-D; outputs as in nsameta_build_metadata_args. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_fill_draft_extend_metadata_fused_simple(
    const nsameta_context* context, const nsameta_tensor* extend_seq_lens, const nsameta_tensor* seq_lens, int32_t topk,
    const nsameta_tensor* seqlens_expanded, const nsameta_tensor* nsa_cache_seqlens, void* stream);
/* The same into larger buffers; total_tokens [1] int32 receives T and may be NULL. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_fill_draft_extend_metadata_inplace(
    const nsameta_context* context, const nsameta_tensor* extend_seq_lens, const nsameta_tensor* seq_lens, int32_t topk,
    const nsameta_tensor* seqlens_expanded, const nsameta_tensor* nsa_cache_seqlens, const nsameta_tensor* total_tokens,
    void* stream);
/* The same, and cache_seqlens [>= B] and cu_seqlens_k [>= B+1], which the original copies from the caller's arrays. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_fill_draft_extend_metadata_fused(
    const nsameta_context* context, const nsameta_tensor* extend_seq_lens, const nsameta_tensor* seq_lens, int32_t topk,
    const nsameta_tensor* seqlens_expanded, const nsameta_tensor* nsa_cache_seqlens,
    const nsameta_tensor* cache_seqlens, const nsameta_tensor* cu_seqlens_k, void* stream);

/* ---- plans -------------------------------------------------------------------------------------------------- */

/* Values are the order of core/ops.def. */
typedef enum nsameta_op { NSAMETA_OP_BUILD_METADATA = 0 } nsameta_op;

typedef struct nsameta_plan nsameta_plan;

/* Checks and binds `args` (an nsameta_<op>_args) once. The tensors' memory must stay where it is; the struct itself
 * may go. A staged plan allocates its host buffers here. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_plan_create(const nsameta_context* context, nsameta_op op,
                                                                 const void* args, nsameta_plan** plan);
/* NULL is allowed. */
NSAMETA_API void nsameta_plan_destroy(nsameta_plan* plan);
/* Runs for the first `batch` requests (-1: the plan's batch). The bounds are upper limits of T and of kv that the host
 * happens to know (-1: capacity); they size the launch and never change a result. Allocates nothing, takes no lock,
 * reads no environment, never synchronises, and may be captured in a graph; a staged plan synchronises, and refuses to
 * be captured. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_plan_run(nsameta_plan* plan, int32_t batch,
                                                              int64_t num_tokens_bound, int64_t max_kv_bound,
                                                              void* stream);

#ifdef __cplusplus
}
#endif

#endif
