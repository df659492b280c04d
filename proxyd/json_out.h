// JSON written into a buffer, piece by piece; an error sticks.
#ifndef PROXYD_JSON_OUT_H
#define PROXYD_JSON_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct json_out {
	struct buf *buf; // borrowed
	int error;	 // 0, or what an append said
};

void json_out_raw(struct json_out *, const char *text);
void json_out_bytes(struct json_out *, const void *, size_t n);
// With quotation marks around it.
void json_out_string(struct json_out *, const void *text, size_t len);
void json_out_number(struct json_out *, int64_t);

#endif
