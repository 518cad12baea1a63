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
#define NSAMETA_ABI_VERSION 3

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
 * the shape says that there is no element. Strides count elements, not bytes, and may be anything for an input that
 * spans at most 2^61 bytes; data is aligned to its dtype. ndim is 1 or 2; a 1-D view leaves shape[1] and strides[1] 0.
 */
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
 * process. NSAMETA_TUNING=FILE, read once as well, gives the context the values that `nsameta tune` found for its
 * backend and device; a file that cannot be used is an error (see nsameta_get_tuning). */
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
  NSAMETA_CHECK_NEGATIVE_QUERY = 3,       /* value: the extend length, which counted as 0 */
  NSAMETA_CHECK_POOL_ROW = 4,             /* value: the row, outside req_to_token; the request's slots became -1 */
  NSAMETA_CHECK_KV_OVER_CONTEXT = 5,      /* value: the kv length; slots beyond req_to_token's columns became -1 */
  NSAMETA_CHECK_KEYS_OVER_CAPACITY = 6,   /* value: sum of kv; page_table_1_flattened was filled up to its capacity */
  NSAMETA_CHECK_NUM_REQUESTS = 7,         /* value: num_requests, which was cut to [0, batch] */
  NSAMETA_CHECK_TOPK_INDEX = 8            /* value: the token index, outside its table; its slot became -1 */
} nsameta_check;

typedef struct nsameta_fault {
  int32_t check;       /* nsameta_check */
  int32_t request_idx; /* -1: not tied to one request; for TOPK_INDEX the row of topk_indices */
  int64_t value;       /* cut to int32 */
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
 * is how many of them the sparse kernel reads. Key c of request r lies in slot  req_to_token[req_pool_indices[r], c].
 */
typedef enum nsameta_mode {
  NSAMETA_MODE_DECODE = 0,        /* kv = seq_lens,     q = 1;                 tables: a row per request */
  NSAMETA_MODE_TARGET_VERIFY = 1, /* kv = seq_lens + n, q = n = tokens_per_request;  a row per token */
  NSAMETA_MODE_DRAFT_EXTEND = 2,  /* kv = seq_lens,     q = extend_seq_lens or a constant; clamps; a row per token */
  NSAMETA_MODE_EXTEND = 3         /* kv = seq_lens,     q = extend_seq_lens or a constant;  a row per request */
} nsameta_mode;

/* On: visible = max(visible, 0), so that padded rows (kv < q) hold 0 and not a negative number. */
typedef enum nsameta_clamp { NSAMETA_CLAMP_DEFAULT = 0, NSAMETA_CLAMP_OFF = 1, NSAMETA_CLAMP_ON = 2 } nsameta_clamp;

/* What per-token outputs hold from T (T+1 for nsa_cu_seqlens_k) to their capacity, and with num_requests per-request
 * outputs from the true batch to B. Tables, the flattened table, schedules and plans have no tail: cells beyond what
 * exists keep what they held. Per-token tails are untouched when T == 0. */
typedef enum nsameta_tail {
  NSAMETA_TAIL_KEEP = 0, /* untouched */
  NSAMETA_TAIL_ZERO = 1,
  NSAMETA_TAIL_LAST = 2, /* the output's own last value; 0 where there is none */
  NSAMETA_TAIL_MINUS_ONE = 3
} nsameta_tail;

/* Columns of a page table's row that are written. W = shape[1] of page_table_1, or shape[1] * page_size of
 * real_page_table, either cut to max_table_width if that is not -1; real_page_table has a column per page that begins
 * below the width. */
typedef enum nsameta_table_width {
  NSAMETA_TABLE_LIVE_128 = 0, /* [0, min(ceil(kv / 128) * 128, W)); the cells from kv on come from req_to_token, too */
  NSAMETA_TABLE_FULL = 1,     /* [0, W) */
  NSAMETA_TABLE_EXACT = 2     /* [0, min(kv, W)) */
} nsameta_table_width;

typedef enum nsameta_table_rows {
  NSAMETA_TABLE_ROWS_DEFAULT = 0, /* as the mode says */
  NSAMETA_TABLE_ROWS_PER_REQUEST = 1,
  NSAMETA_TABLE_ROWS_PER_TOKEN = 2
} nsameta_table_rows;

/* Rules of DeepGEMM's paged-MQA schedule (get_paged_mqa_logits_metadata), by the change that brought them. There are N
 * lengths of segs[i] = ceil(len[i] / 256) segments; P is the inclusive prefix sum of segs, n = num_sms, A atoms a
 * length, and SM s begins at segment start(s) of the total W = A * P[N - 1]:
 *   V1         A = 1                                       start(s) = s * (W // n) + min(s, W % n)
 *   APR26      A = next_n even ? next_n / 2 : next_n       likewise
 *   SM90_JUN26 A = ceil(next_n / (next_n >= 2 ? 2 : 1))    start(s) = s * (W // n) + max(0, s - (n - W % n))
 * Row s is (i * A + off // segs[i], off % segs[i]) with the first i where P[i] * A > start(s) and
 * off = start(s) - P[i - 1] * A; (N * A, 0) where there is none, which the last row always is.
 *   SM100_JUN26  W = sum of segs[i] * m[i], m[i] the query tokens of length i; start as in V1; row s is (query tokens
 * before length i, off // m[i]) with the first i whose inclusive prefix of segs * m is above start(s), off counted from
 * there; (all query tokens, 0) where there is none. */
typedef enum nsameta_mqa_variant {
  NSAMETA_MQA_V1 = 0,
  NSAMETA_MQA_APR26 = 1,
  NSAMETA_MQA_SM90_JUN26 = 2,
  NSAMETA_MQA_SM100_JUN26 = 3
} nsameta_mqa_variant;

/* The lengths that paged_mqa_schedule is made from. */
typedef enum nsameta_mqa_lengths {
  NSAMETA_MQA_LENGTHS_DEFAULT = 0, /* decode, extend: KV; target_verify, draft_extend: VISIBLE */
  NSAMETA_MQA_LENGTHS_KV = 1,      /* kv, one per request; m[i] = q */
  NSAMETA_MQA_LENGTHS_VISIBLE = 2  /* visible, one per token, negative ones as 0; m[i] = 1 */
} nsameta_mqa_lengths;

/* Whose candidates choose the threshold of topk_plan: METADATA of SGLang 0.5.23's cluster top-k. */
typedef enum nsameta_topk_plan_arch {
  NSAMETA_TOPK_PLAN_HOPPER = 0,
  NSAMETA_TOPK_PLAN_BLACKWELL = 1
} nsameta_topk_plan_arch;

#define NSAMETA_MAX_DESTINATIONS 8 /* sets of outputs of one build */
#define NSAMETA_MAX_SMS 512

/* Where a build writes. Every output is optional; what is absent is neither computed nor written. Outputs are int32
 * with stride 1 unless said, and overlap neither each other nor an input. The capacity of an output is shape[0]; it is
 * checked on the host where the host knows the count, and on the device otherwise: tokens beyond a capacity are never
 * written, and nsameta_context_error reports them. At most 2^31 - 2^20 - 1 elements of a per-token output are used.
 * Prefix sums wrap like int32. cu(x) has B+1 or T+1 elements and begins with 0. Offsets in tables are 64-bit. */
typedef struct nsameta_metadata_outputs {
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
  nsameta_tensor out_slots;       /* [>= T] slot of position kv - q + j, -1 where that is negative; int32 or int64 */
  nsameta_tensor page_table_1;    /* [>= rows, W] slot of key c in column c; any strides */
  nsameta_tensor real_page_table; /* [>= rows, pages] slot of key c // page_size in column c // page_size, for
                                     every c that page_size divides; any strides; needs page_size > 1 */
  nsameta_tensor page_table_1_flattened; /* [>= sum of kv] the slots of all keys of request 0, of request 1, ... */
  nsameta_tensor paged_mqa_schedule;     /* [num_sms + 1, 2], contiguous, num_sms in [1, NSAMETA_MAX_SMS] */
  nsameta_tensor topk_plan; /* [>= T+1, 2], contiguous: row 0 {threshold, count}, then {t, visible[t]} of the
                               `count` tokens with visible > threshold, t ascending; later rows untouched.
                               Nothing is written unless topk_plan_clusters < T <= 512 */
} nsameta_metadata_outputs;

/* Set the defaults with nsameta_build_metadata_args_init, then fill what is needed. B is the batch.
 *
 * With num_requests the requests from num_requests[0] on do not exist: B in all that is said here is that number, and
 * `batch` its upper bound.
 *
 * B == 0 writes element [0] of the cu outputs, total_tokens and paged_mqa_schedule, nothing else. T == 0 with B > 0
 * writes the per-request outputs, tables with a row per request, the flattened table, element [0] of nsa_cu_seqlens_k,
 * total_tokens and paged_mqa_schedule, nothing else. */
typedef struct nsameta_build_metadata_args {
  size_t struct_size; /* sizeof(nsameta_build_metadata_args) of the caller */
  int32_t mode;       /* nsameta_mode */
  int32_t batch;      /* requests; -1: seq_lens.shape[0]. In a plan: the largest batch it will run */
  /* Constant q of every request; 0: taken from extend_seq_lens. target_verify needs it, decode takes 0 or 1. */
  int32_t tokens_per_request;
  int32_t static_width;   /* 1: extend_seq_lens[0], read on the device, is the constant q of every request */
  int32_t topk;           /* > 0 */
  int32_t kpool;          /* >= 1; 1: off */
  int32_t clamp;          /* nsameta_clamp */
  int32_t tail;           /* nsameta_tail */
  int32_t page_size;      /* of real_page_table: a power of two from 1 to 256; 1: no such table */
  int32_t table_width;    /* nsameta_table_width */
  int32_t table_rows;     /* nsameta_table_rows */
  int32_t mqa_variant;    /* nsameta_mqa_variant */
  int32_t mqa_lengths;    /* nsameta_mqa_lengths */
  int32_t mqa_next_n;     /* >= 1: next_n of the schedule's rule; 1 by default, as each VISIBLE length is one token */
  int32_t topk_plan_arch; /* nsameta_topk_plan_arch */
  int32_t
      topk_plan_clusters; /* >= 0: clusters of 8 that the device holds at once (30 on H200, 33 on B200); default 30 */
  int32_t topk_plan_threshold; /* >= 0: taken instead of the choice; default -1 */
  int32_t num_more_outputs;    /* [0, NSAMETA_MAX_DESTINATIONS - 1] */
  /* 1: on CUDA from sm_90 on, a launch that may begin while the kernel before it in the stream still runs (programmatic
   * dependent launch); it waits for that kernel's end before it reads or writes anything, and lets a next such launch
   * begin as early. Hides some 0.3 us of a launch, in graphs too. Elsewhere without effect. */
  int32_t programmatic_launch;
  int64_t max_table_width; /* columns of page_table_1 that may be written; default -1: its shape alone says */
  /* Upper bounds of T and of kv that the host knows, -1 if none. They size the launch; what exceeds them is still built
   * right. */
  int64_t num_tokens_bound;
  int64_t max_kv_bound;
  /* Further sets of outputs that receive the same values, each with strides and capacities of its own. Elements have
   * the size that `out` has in a struct of struct_size bytes. May go when the call returns. */
  const nsameta_metadata_outputs* more_outputs;

  nsameta_tensor seq_lens;         /* [>= B] int32 or int64 (truncated to int32), any stride */
  nsameta_tensor extend_seq_lens;  /* [>= B] ([>= 1] with static_width), likewise; absent where q is constant */
  nsameta_tensor num_requests;     /* [>= 1] int32, optional */
  nsameta_tensor req_pool_indices; /* [>= B] int64 or int32, any stride; for outputs with slots */
  nsameta_tensor req_to_token;     /* [pool, max_context] int32, any strides; for outputs with slots */

  nsameta_metadata_outputs out; /* stays the last field: outputs are added at its end */
} nsameta_build_metadata_args;

NSAMETA_API void nsameta_build_metadata_args_init(nsameta_build_metadata_args* args);

/* One launch on `stream` (cudaStream_t or hipStream_t; ignored by the CPU); no synchronisation and no allocation,
 * except in a staged context, which does both. On a GPU a context keeps the launches of up to 16 different calls, for
 * which it allocates some memory of the host, once: a call with the same arguments is then little more than a launch.
 */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_build_metadata(const nsameta_context* context,
                                                                    const nsameta_build_metadata_args* args,
                                                                    void* stream);

/* ---- copy_metadata ------------------------------------------------------------------------------------------ */

#define NSAMETA_MAX_COPY_PAIRS 64

typedef struct nsameta_copy_pair {
  nsameta_tensor source;      /* 1-D or 2-D, int32 or int64, any strides */
  nsameta_tensor destination; /* the same shape and dtype, any strides that do not alias */
} nsameta_copy_pair;

/* Copies tensors, all in one launch: metadata that was built once into the buffers of several backends. Sources may
 * overlap each other. A destination overlaps no source and no other destination; columns of one matrix that are apart,
 * with the same row stride, do not overlap. Empty tensors are skipped. */
typedef struct nsameta_copy_metadata_args {
  size_t struct_size;
  int32_t num_pairs;              /* [0, NSAMETA_MAX_COPY_PAIRS] */
  int32_t reserved;               /* 0 */
  const nsameta_copy_pair* pairs; /* may go when the call returns */
} nsameta_copy_metadata_args;

NSAMETA_API void nsameta_copy_metadata_args_init(nsameta_copy_metadata_args* args);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_copy_metadata(const nsameta_context* context,
                                                                   const nsameta_copy_metadata_args* args,
                                                                   void* stream);

/* ---- map_topk_to_slots -------------------------------------------------------------------------------------- */

/* Turns the key indices that a layer's top-k chose into KV slots:
 *   slots[t, i] = -1                                  where x = topk_indices[t, i] < 0, else with y = x + offset[t]
 *               = req_to_token[req_pool_indices[r], y]  with r the request of token t
 *               = page_table[t, y]                      or
 *               = flattened[y]                          or
 *               = y                                     where there is no table: a ragged layout
 * r comes from token_to_batch or from cu_seqlens_q. An index outside its table gives -1 and a fault, and so does a
 * request outside req_pool_indices. T == 0 or k == 0 writes nothing. */
typedef struct nsameta_map_topk_to_slots_args {
  size_t struct_size;
  nsameta_tensor topk_indices; /* [T, k] int32, any row stride, column stride 1 */
  nsameta_tensor offset;       /* [>= T] int32, any stride, optional: 0 */
  /* At most one of: req_to_token with req_pool_indices and either token_to_batch or cu_seqlens_q; page_table;
   * flattened. */
  nsameta_tensor req_to_token;     /* [pool, max_context] int32, any strides */
  nsameta_tensor req_pool_indices; /* [B] int64 or int32, any stride */
  nsameta_tensor token_to_batch;   /* [>= T] int32, any stride */
  nsameta_tensor cu_seqlens_q;     /* [>= B+1] int32, any stride, does not decrease; B = req_pool_indices.shape[0] */
  nsameta_tensor page_table;       /* [>= T, width] int32, any strides */
  nsameta_tensor flattened;        /* [n] int32, any stride */

  nsameta_tensor slots;     /* [T, k] int32, any row stride, column stride 1; may be topk_indices itself */
  nsameta_tensor num_valid; /* [>= T] int32, stride 1, optional: slots of the row that are not -1 */
} nsameta_map_topk_to_slots_args;

NSAMETA_API void nsameta_map_topk_to_slots_args_init(nsameta_map_topk_to_slots_args* args);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_map_topk_to_slots(const nsameta_context* context,
                                                                       const nsameta_map_topk_to_slots_args* args,
                                                                       void* stream);

/* ---- mla_schedule ------------------------------------------------------------------------------------------- */

#define NSAMETA_MAX_MLA_PARTS 1024

/* FlashMLA's plan for splitting the keys of a batch over parts of the device (get_mla_metadata).
 * Request r has keys[r] keys in ceil(keys[r] / block_size) blocks. A part may spend
 *   ceil(sum(blocks[r] + fixed_overhead) / num_parts) + fixed_overhead
 * and pays fixed_overhead besides the blocks for each request that it touches: it takes whole requests while it can pay
 * for them, then of the next one as many blocks as are left beyond the overhead, if any are, and the next part goes on
 * from there. docs/CONTRACTS.md has the rule in full and the versions of FlashMLA.
 *
 * A part works on the requests from `first` to `last`, both included: from block `begin` of the first to before block
 * `end` of the last. `split` counts the parts that worked on the first request before. A part without work has
 * first == B, begin == 0, last == B - 1, split == 0 and the end of the last request. A request without keys has end 0.
 */
typedef enum nsameta_mla_layout {
  /* {first, begin, last, end, split, -, -, -}, begin and end in tokens, where the end of a whole request is keys[r]; a
   * request without keys has no block. FlashMLA to 2025-08. */
  NSAMETA_MLA_TOKENS = 0,
  /* The same words with begin and end in blocks; a request without keys has one block. From 2025-09 on. */
  NSAMETA_MLA_BLOCKS = 1,
  /* {first, last, begin, end, split, whether others also work on the first request, on the last, -}, blocks as before:
   * DecodingSchedMeta, from 2026 on. */
  NSAMETA_MLA_SCHED_META = 2
} nsameta_mla_layout;

/* B == 0 gives every part the row of one without work, and num_splits[0] = 0. Words marked - keep what they held. */
typedef struct nsameta_mla_schedule_args {
  size_t struct_size;
  int32_t batch;           /* B; -1: seq_lens.shape[0]. In a plan: the largest batch it will run */
  int32_t block_size;      /* keys of a block; default 64 */
  int32_t fixed_overhead;  /* blocks that starting a request costs, in [0, 65536]; default 5 */
  int32_t topk;            /* > 0: sparse, keys[r] = topk whatever the length, as in FlashMLA; default 0: seq_lens */
  int32_t min_keys;        /* 1: keys[r] = max(seq_lens[r], 1), FlashMLA's rule for topk_length; default 0 */
  int32_t layout;          /* nsameta_mla_layout; default NSAMETA_MLA_SCHED_META */
  nsameta_tensor seq_lens; /* [>= B] int32 or int64, any stride; negative ones count as 0, a NEGATIVE_KV fault. Not read
                              with topk, where it may be absent if batch is given */
  nsameta_tensor parts;    /* [num_parts, 8] int32, contiguous, num_parts in [1, NSAMETA_MAX_MLA_PARTS] */
  nsameta_tensor num_splits; /* [>= B+1] int32, stride 1: exclusive prefix sum of the parts that work on each request */
} nsameta_mla_schedule_args;

NSAMETA_API void nsameta_mla_schedule_args_init(nsameta_mla_schedule_args* args);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_mla_schedule(const nsameta_context* context,
                                                                  const nsameta_mla_schedule_args* args, void* stream);

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
typedef enum nsameta_op {
  NSAMETA_OP_BUILD_METADATA = 0,
  NSAMETA_OP_COPY_METADATA = 1,
  NSAMETA_OP_MAP_TOPK_TO_SLOTS = 2,
  NSAMETA_OP_MLA_SCHEDULE = 3
} nsameta_op;

typedef struct nsameta_plan nsameta_plan;

/* Checks and binds `args` (an nsameta_<op>_args) once. The tensors' memory must stay where it is; the struct itself
 * may go. A staged plan allocates its host buffers here. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_plan_create(const nsameta_context* context, nsameta_op op,
                                                                 const void* args, nsameta_plan** plan);
/* NULL is allowed. */
NSAMETA_API void nsameta_plan_destroy(nsameta_plan* plan);
/* Runs for the first `batch` requests (-1: the plan's batch; map_topk_to_slots counts tokens, copy_metadata takes -1
 * alone). The bounds are upper limits of T and of kv that the host happens to know (-1: as bound); they size the launch
 * and never change a result. Allocates nothing, takes no lock,
 * reads no environment, never synchronises, and may be captured in a graph; a staged plan synchronises, and refuses to
 * be captured. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_plan_run(nsameta_plan* plan, int32_t batch,
                                                              int64_t num_tokens_bound, int64_t max_kv_bound,
                                                              void* stream);

/* ---- tuning ------------------------------------------------------------------------------------------------- */

/* A number that a backend compares with the shape of a call, or sizes a launch by. Within [least, most] it changes how
 * fast calls of a context are and never what they write. docs/TUNING.md lists them. Strings live as long as the
 * process. */
typedef struct nsameta_tunable {
  const char* name;     /* "step_requests" */
  const char* decides;  /* what, in a sentence */
  const char* measured; /* what the default rests on: device, date, gain */
  int64_t value;        /* of the context */
  int64_t default_value;
  int64_t least;
  int64_t most;
  int32_t op; /* nsameta_op whose calls it concerns; -1: several */
  int32_t reserved;
} nsameta_tunable;

/* Of the backend that runs the context's operations; 0 where it has none. */
NSAMETA_API int32_t nsameta_context_num_tunables(const nsameta_context* context);
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_context_get_tunable(const nsameta_context* context,
                                                                         int32_t tunable_idx, nsameta_tunable* tunable);
/* INVALID_ARGUMENT for a name that the backend does not have, or a value outside its range. Graphs that were captured
 * before keep what they have. The caller sees to it that no other thread uses the context. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_context_set_tunable(nsameta_context* context, const char* name,
                                                                         int64_t value);

typedef struct nsameta_tuning {
  const char* file;   /* NSAMETA_TUNING; "" when it is not set. Lives as long as the process */
  int32_t is_applied; /* 1: the file has an entry for the device, whose values each new context of it gets */
  int32_t num_values; /* of that entry */
} nsameta_tuning;

/* What NSAMETA_TUNING means for contexts of a device. The file is read once per process. INVALID_ARGUMENT when it
 * cannot be used, with the message that nsameta_context_create would give. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_get_tuning(int32_t backend_idx, int32_t device_idx,
                                                                nsameta_tuning* tuning);

/* What nsameta_plan_run with these arguments would choose, and why, without running it: lines `key: value`.
 *   backend: cuda                         the backend that runs it
 *   rule: batch 32 <= 256 (step_requests 256): yes
 *                                         a number of the call, compared with a limit that comes from a tunable
 *   fact: plain_step: yes                 what else was asked
 *   uses: slices_of_row 64                a tunable that a size was computed with
 *   kernel: build_metadata_plain<4,false> on a GPU; and what it is launched with, such as `blocks: 36`, `threads: 256`
 *   path: one_thread                      on a CPU
 * These three stand in the order in which they were asked. Of a staged plan, what the CPU does. No tensor is read,
 * so that what only the device knows counts as its bound. Writes at most `size` bytes to `text`, the zero at the end
 * among them; text may be NULL where size is 0. *needed, if not NULL, receives the bytes of the whole text. UNSUPPORTED
 * where the backend cannot tell. */
NSAMETA_NODISCARD NSAMETA_API nsameta_status nsameta_plan_explain(const nsameta_plan* plan, int32_t batch,
                                                                  int64_t num_tokens_bound, int64_t max_kv_bound,
                                                                  char* text, size_t size, size_t* needed);

#ifdef __cplusplus
}
#endif

#endif
