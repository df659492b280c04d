// What every fuzz target defines.
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

// Always returns 0; a broken promise aborts.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
