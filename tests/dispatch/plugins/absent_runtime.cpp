// The library that needs_runtime links and does not find when it is loaded.
extern "C" __attribute__((visibility("default"))) int absent_runtime_version() { return 1; }
