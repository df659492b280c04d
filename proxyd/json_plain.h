// What JSON readers and writers may copy as it is.
#ifndef PROXYD_JSON_PLAIN_H
#define PROXYD_JSON_PLAIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A vector of gcc and clang, on any machine.
typedef int8_t json_v16 __attribute__((vector_size(16)));

// How many bytes at the front stand for themselves in a JSON string: ASCII
// but control bytes, '"' and '\'.  Many at a time, for long prompts.
static inline size_t
json_plain_run(const uint8_t *at, size_t len)
{
	json_v16 v[4], plain;
	uint64_t halves[2];
	size_t n = 0;

	for (; len - n >= sizeof(v); n += sizeof(v)) {
		memcpy(v, at + n, sizeof(v));
		plain = ~(json_v16){ 0 };
		// Signed: what is above 0x7f is below zero.
		for (size_t i = 0; i < 4; i++)
			plain &=
			    (v[i] >= 0x20) & (v[i] != '"') & (v[i] != '\\');
		memcpy(halves, &plain, sizeof(halves));
		if ((halves[0] & halves[1]) != UINT64_MAX)
			break;
	}
	while (n < len && at[n] >= 0x20 && at[n] < 0x80 && at[n] != '"' &&
	    at[n] != '\\')
		n++;
	return n;
}

#endif
