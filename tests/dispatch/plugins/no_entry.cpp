// A shared object that is no backend.
extern "C" __attribute__((visibility("default"))) int some_other_function() { return 1; }
