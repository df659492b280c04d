// What a connection's reader understands of a byte stream, as text: the same
// for every way the stream was cut into pieces, or the readers are broken.
#ifndef TESTS_UNIT_HTTP_TRANSCRIPT_H
#define TESTS_UNIT_HTTP_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

// Read messages until one is refused or the stream ends, `piece` bytes at a
// time, and append what was understood to *ret: for each message its head
// rebuilt, its body bytes and "<end>"; "<status>" of a refusal; "<cut>" of a
// body that ends early; "<more>" of an unfinished head.
void http_transcript(const uint8_t *stream, size_t len, size_t piece,
    bool responses, struct buf *ret);

#endif
