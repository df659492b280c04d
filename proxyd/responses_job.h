// One request on its way to becoming a chat completion.
#ifndef PROXYD_RESPONSES_JOB_H
#define PROXYD_RESPONSES_JOB_H

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"

struct responses_job {
	const json_t *in;
	json_t *out;	   // owned
	json_t *messages;  // of out
	json_t *assistant; // of messages: calls are added to it; or NULL
	json_t *thoughts;  // owned; for the next message of the assistant
	const char *why;
};

static inline int
refuse(struct responses_job *j, const char *why)
{
	j->why = why;
	return -EINVAL;
}

static inline const char *
text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static inline bool
text_is(const json_t *object, const char *name, const char *value)
{
	const char *text = text_of(object, name);

	return text != NULL && strcmp(text, value) == 0;
}

static inline bool
is_given(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return value != NULL && !json_is_null(value);
}

// input and instructions become messages.  -EINVAL: j->why says why.
MUST_CHECK int responses_input(struct responses_job *);

#endif
