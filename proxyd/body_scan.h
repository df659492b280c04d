// The body of a request, read as it comes: JSON, or form data with a file.
#ifndef PROXYD_BODY_SCAN_H
#define PROXYD_BODY_SCAN_H

#include "common/cleanup.h"
#include "proxyd/json_scan.h"
#include "proxyd/multipart.h"

struct body_scan {
	bool is_form;
	union {
		struct json_scan json;
		struct multipart form;
	};
};

static inline int
body_scan_feed(struct body_scan *s, const uint8_t *bytes, size_t n)
{
	return s->is_form ? multipart_feed(&s->form, bytes, n)
			  : json_scan_feed(&s->json, bytes, n);
}

static inline int
body_scan_end(struct body_scan *s)
{
	return s->is_form ? multipart_end(&s->form) : json_scan_end(&s->json);
}

static inline const char *
body_scan_why(const struct body_scan *s)
{
	return s->is_form ? multipart_why(&s->form) : json_scan_why(&s->json);
}

// "" when none was named.
static inline const char *
body_scan_model(const struct body_scan *s)
{
	if (s->is_form)
		return s->form.has_model ? s->form.model : "";
	return s->json.has_model ? s->json.model : "";
}

static inline bool
body_scan_stream(const struct body_scan *s)
{
	return s->is_form ? s->form.stream : s->json.stream;
}

#endif
