/**
 * The small files that `engine link` writes beside the published tfjs-node package.
 *
 * tfjs-node asks for the union package `@tensorflow/tfjs`, yet uses only symbols of tfjs-core from it. The bridge
 * gives it the tfjs-core that ertacache itself runs on, so that a process has one copy of tfjs, loads a third of
 * the code, and a link needs 5 MB instead of 300.
 */

const CORE = "globalThis[Symbol.for('ertacache.tfjs-core')]";

/** Stands in for `@tensorflow/tfjs` and `@tensorflow/tfjs-core` inside the link's folder. */
export const BRIDGE = `'use strict';
// Hands out the tfjs-core that load.cjs was called with.
module.exports = ${CORE};
`;

/** What the engine requires: registers tfjs-node's kernels and backend with the tfjs-core it is given. */
export const LOADER = `'use strict';
// Written by 'ertacache engine link'. load(tf) registers the backend 'tensorflow' with that tfjs-core.
const { existsSync } = require('node:fs');
const helper = require('./helper.node');

module.exports = function load(tf, { quiet = true } = {}) {
  ${CORE} = tf;
  const restore = quiet ? helper.muteStderr() : undefined;
  try {
    if (existsSync('/dev/nvidia0') || existsSync('/dev/dxg')) helper.preload(require('./preload.json'));
    const binding = require('./node_modules/@tensorflow/tfjs-node/lib/napi-v8/tfjs_binding.node');
    require('./node_modules/@tensorflow/tfjs-node/dist/register_all_kernels.js');
    const { NodeJSKernelBackend } = require('./node_modules/@tensorflow/tfjs-node/dist/nodejs_kernel_backend.js');
    const backend = new NodeJSKernelBackend(binding, 'tfjs-node');
    tf.registerBackend('tensorflow', () => backend, 3);
    return {
      version: String(binding.TF_Version),
      gpu: Boolean(backend.isUsingGpuDevice),
      largePages: helper.largePages,
    };
  } finally {
    if (restore !== undefined) helper.restoreStderr(restore);
  }
};
`;

/**
 * A second, tiny addon: TensorFlow writes two lines to stderr before it has read its log level, and only a file
 * descriptor can be kept from saying them. It also loads CUDA's libraries ahead of TensorFlow (see preload.json), sets
 * the size from which memory goes back to the system as soon as it is free, and asks for large pages where a disk is
 * read into.
 */
export const HELPER = `// Written by 'ertacache engine link'.
#include <dlfcn.h>
#include <fcntl.h>
#ifdef __linux__
#include <malloc.h>
#endif
#include <node_api.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

// Points stderr at nothing; returns a descriptor of what it was.
static napi_value MuteStderr(napi_env env, napi_callback_info) {
  int kept = dup(2);
  int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (kept >= 0 && nothing >= 0) dup2(nothing, 2);
  if (nothing >= 0) close(nothing);
  napi_value result;
  napi_create_int32(env, kept, &result);
  return result;
}

static napi_value RestoreStderr(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  int kept = -1;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  if (argc == 1 && napi_get_value_int32(env, argv[0], &kept) == napi_ok && kept >= 0) {
    dup2(kept, 2);
    close(kept);
  }
  return nullptr;
}

// Opens each library of a list of paths; one that cannot be opened is TensorFlow's to complain about.
static napi_value Preload(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  uint32_t count = 0;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  if (argc != 1 || napi_get_array_length(env, argv[0], &count) != napi_ok) return nullptr;
  for (uint32_t i = 0; i < count; i++) {
    napi_value item;
    size_t length = 0;
    if (napi_get_element(env, argv[0], i, &item) != napi_ok) continue;
    if (napi_get_value_string_utf8(env, item, nullptr, 0, &length) != napi_ok) continue;
    std::string path(length + 1, '\\0');
    napi_get_value_string_utf8(env, item, &path[0], length + 1, &length);
    dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  }
  return nullptr;
}

// Asks the system for large pages beneath the bytes of a typed array. When a file is read past the page cache, every page is
// passed to the disk separately: with few and large ones reading was twice as fast.
static napi_value LargePages(napi_env env, napi_callback_info info) {
#ifdef MADV_HUGEPAGE
  size_t argc = 1;
  napi_value argv[1];
  void* data = nullptr;
  size_t length = 0;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  if (argc != 1 || napi_get_typedarray_info(env, argv[0], nullptr, &length, &data, nullptr, nullptr) != napi_ok) {
    return nullptr;
  }
  const uintptr_t page = sysconf(_SC_PAGESIZE);
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + length) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
  return nullptr;
}

// By default glibc keeps freed blocks of up to 32 MB in its heap once one of that size was freed. Tensors of many sizes
// then leave it full of holes: a forward pass of a large model held gigabytes more than it used, and ran slower.
static void ReturnLargeBlocks() {
#if defined(__GLIBC__) && defined(M_MMAP_THRESHOLD)
  if (getenv("MALLOC_MMAP_THRESHOLD_") == nullptr) mallopt(M_MMAP_THRESHOLD, 2 << 20);
#endif
}

static napi_value Init(napi_env env, napi_value exports) {
  ReturnLargeBlocks();
  napi_property_descriptor properties[] = {
      {"muteStderr", nullptr, MuteStderr, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"restoreStderr", nullptr, RestoreStderr, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"preload", nullptr, Preload, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"largePages", nullptr, LargePages, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  napi_define_properties(env, exports, 4, properties);
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
`;

/**
 * What is included ahead of the binding's sources.
 *
 * No signal is handled while TensorFlow computes. oneDNN's products point the
 * stack at their own memory (mended in March 2026, github.com/uxlfoundation/oneDNN/issues/4845), and a handler that runs
 * then writes over it: a terminal that changes its size, or Ctrl-C, ended the process. A held signal is delivered when the
 * operation has ended. Threads that TensorFlow starts meanwhile inherit the mask, and take no signal at all.
 *
 * `fused_ops` of an operation is a list of strings, of which the binding knows nothing: it is written with commas.
 */
export const ADDITIONS = `// Written by 'ertacache engine link'.
#pragma once
#include <pthread.h>
#include <signal.h>

#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/eager/c_api.h"

class HoldSignals {
 public:
  HoldSignals() {
    sigset_t held;
    sigfillset(&held);
    // Faults are the thread's own.
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&held, fault);
    pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  ~HoldSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

#define HELD(call)                   \\
  ([&](auto&&... given) {            \\
    HoldSignals hold;                \\
    return call(given...);           \\
  })

#define TFE_NewContext HELD(TFE_NewContext)
#define TFE_Execute HELD(TFE_Execute)
#define TFE_TensorHandleResolve HELD(TFE_TensorHandleResolve)
#define TFE_TensorHandleCopyToDevice HELD(TFE_TensorHandleCopyToDevice)
#define TF_LoadSessionFromSavedModel HELD(TF_LoadSessionFromSavedModel)
#define TF_SessionRun HELD(TF_SessionRun)

static inline void SetStrings(TFE_Op* op, const char* name, const void* value, size_t length) {
  if (strcmp(name, "fused_ops") != 0) {
    TFE_OpSetAttrString(op, name, value, length);
    return;
  }
  const std::string text(static_cast<const char*>(value), length);
  std::vector<const void*> starts;
  std::vector<size_t> lengths;
  for (size_t from = 0; from <= length;) {
    size_t to = text.find(',', from);
    if (to == std::string::npos) to = length;
    starts.push_back(text.data() + from);
    lengths.push_back(to - from);
    from = to + 1;
  }
  TFE_OpSetAttrStringList(op, name, starts.data(), lengths.data(), static_cast<int>(starts.size()));
}

#define TFE_OpSetAttrString SetStrings
`;
