// A multipart/form-data body (RFC 7578) checked while it passes by, of which
// only the fields "model" and "stream" are kept.  Constant memory.
//
// Refused although some readers take it, since two readers could understand it
// differently: text around the parts, a field twice that counts, quoted pairs
// and folded lines in heads, lines that end with LF alone, encodings.
#ifndef PROXYD_MULTIPART_H
#define PROXYD_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sizes.h"
#include "common/slice.h"

enum {
	MULTIPART_BOUNDARY_MAX = 70, // RFC 2046
	MULTIPART_PARTS_MAX = 128,
	MULTIPART_HEAD_MAX = 4096, // of one part
};

struct multipart {
	// The result, valid after multipart_end().
	bool has_model;
	bool stream;
	size_t model_len;
	char model[MODEL_NAME_MAX + 1]; // UTF-8, NUL terminated

	// Private.
	const char *why;
	char delimiter[4 + MULTIPART_BOUNDARY_MAX + 1]; // CRLF "--" boundary
	size_t delimiter_len;
	size_t matched; // of the delimiter
	char head[MULTIPART_HEAD_MAX];
	size_t head_len;
	size_t parts;
	uint8_t state;
	uint8_t field; // which the part is
	bool has_stream;
	size_t value_len; // of "stream"
	char value[8];
};

// The boundary in a Content-Type "multipart/form-data; boundary=...".
// -EINVAL: another type, or a boundary that is none.
MUST_CHECK int multipart_boundary(struct slice type, struct slice *ret);
void multipart_init(struct multipart *, struct slice boundary);
// -EBADMSG: not acceptable; multipart_why() says why; final.
MUST_CHECK int multipart_feed(struct multipart *, const uint8_t *, size_t);
// All of it was fed.  -EBADMSG: it is not complete.
MUST_CHECK int multipart_end(struct multipart *);
// A static text for the client after -EBADMSG.
const char *multipart_why(const struct multipart *);

#endif
