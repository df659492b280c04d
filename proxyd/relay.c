// The upstream's answer made into ours: status and a short list of fields are
// taken over, everything else is our own.  Trusts the upstream with the words
// of its body and with nothing else.
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/level_limits.h"
#include "proxyd/attempt.h"
#include "proxyd/load.h"
#include "proxyd/request.h"
#include "proxyd/silence.h"
#include "proxyd/translation.h"

enum {
	RELAY_FIELDS_MAX = 24,
	RELAY_TEXT_MAX = 4096,
	OWN_FIELDS_MAX = 7,
};

// End-to-end fields that clients of this API use.
static const char *const passed_on[] = {
	"Content-Type",
	"Content-Encoding",
	"Cache-Control",
	"Date",
	"Retry-After",
	"Retry-After-Ms",
	"X-Should-Retry",
	"X-Accel-Buffering",
	"Openai-Processing-Ms",
	"Openai-Model",
	"Openai-Version",
};

// Of an error only these: they decide whether a client tries again.
static const char *const hints[REQUEST_ERROR_HINTS] = {
	"Retry-After",
	"Retry-After-Ms",
	"X-Should-Retry",
};

static const char ratelimit_prefix[] = "X-Ratelimit-";

struct fields {
	struct http_pair set[RELAY_FIELDS_MAX + OWN_FIELDS_MAX];
	size_t n;
	char text[RELAY_TEXT_MAX];
	size_t used;
};

static const char *
keep(struct fields *f, struct slice s)
{
	char *at = f->text + f->used;

	if (s.len + 1 > sizeof(f->text) - f->used)
		return NULL;
	memcpy(at, s.at, s.len);
	at[s.len] = '\0';
	f->used += s.len + 1;
	return at;
}

static void
put(struct fields *f, const char *name, const char *value)
{
	if (name != NULL && value != NULL && f->n < N_ELEMENTS(f->set))
		f->set[f->n++] = (struct http_pair){ name, value };
}

static bool
is_passed_on(struct slice name)
{
	size_t prefix = sizeof(ratelimit_prefix) - 1;

	for (size_t i = 0; i < N_ELEMENTS(passed_on); i++)
		if (slice_is_nocase(name, passed_on[i]))
			return true;
	return name.len > prefix &&
	    strncasecmp(name.at, ratelimit_prefix, prefix) == 0;
}

static void
put_upstream(struct fields *f, const struct http_fields *in)
{
	for (size_t i = 0; i < in->n && f->n < RELAY_FIELDS_MAX; i++) {
		const struct http_field *field = &in->at[i];
		const char *name;

		if (!is_passed_on(field->name))
			continue;
		name = keep(f, field->name);
		put(f, name, keep(f, field->value));
	}
}

void
relay_source(const struct candidate *from, Ipc__Level level,
    char id[static 2 * ENDPOINT_ID_SHORT_LEN + 1],
    struct http_pair ret[static RELAY_SOURCE_FIELDS])
{
	static const char *const encrypted[] = {
		[SOURCE_LOCAL] = "local",
		[SOURCE_SEALED] = "sealed",
		[SOURCE_PLAIN] = "no",
	};
	bool is_local = from->source == SOURCE_LOCAL;

	hex_endpoint_id_short(from->peer_id, id);
	ret[0] =
	    (struct http_pair){ "X-Meshllm-Host", is_local ? "local" : id };
	ret[1] = (struct http_pair){ "X-Meshllm-Encrypted",
		encrypted[from->source] };
	ret[2] = (struct http_pair){ "X-Meshllm-Attestation",
		is_local ? "local" : level_name(level) };
	ret[3] = (struct http_pair){ "X-Meshllm-Attestation-Limits",
		is_local ? NULL : level_limits(level) };
}

// What only we say; a peer's opener says it itself.
static void
put_own(struct fields *f, const struct request *req)
{
	enum { ID_LEN = 2 * ENDPOINT_ID_SHORT_LEN + 1 };
	struct http_pair source[RELAY_SOURCE_FIELDS];
	char *id, load[LOAD_TEXT_MAX];

	if (load_tell(req, load))
		put(f, LOAD_FIELD, keep(f, slice_of(load)));
	if (req->is_inbound && req->alive_s != 0)
		put(f, SILENCE_FIELD, "1");
	if (req->is_inbound)
		return;
	put(f, "X-Request-Id", req->id);
	if (req->attempt == NULL)
		return;
	if (req->candidates.route[0] != '\0')
		put(f, "X-Meshllm-Route", req->candidates.route);
	id = f->text + f->used;
	if (sizeof(f->text) - f->used < ID_LEN)
		return;
	f->used += ID_LEN;
	relay_source(&req->attempt->to, req->attempt->level, id, source);
	for (size_t i = 0; i < N_ELEMENTS(source); i++)
		put(f, source[i].name, source[i].value);
}

static int
write_head(struct request *req, int status, struct fields *f,
    enum http_framing framing, uint64_t length)
{
	struct http_rewrite how = { .framing = framing,
		.length = length,
		.close = req->wants_close,
		.set = f->set,
		.n_set = f->n };

	return answer_head(&req->answer, status, &how);
}

static enum http_framing
framing_for(const struct request *req, const struct http_response *response)
{
	if (response->framing == HTTP_BODY_NONE ||
	    response->framing == HTTP_BODY_LENGTH)
		return response->framing;
	return req->is_http10 ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_CHUNKED;
}

static void
note_content_type(struct request *req, const struct http_response *response)
{
	static const char stream[] = "text/event-stream";
	const struct http_field *type =
	    http_fields_find(&response->fields, "Content-Type");
	size_t n = sizeof(stream) - 1;

	req->answer.is_event_stream = type != NULL && type->value.len >= n &&
	    strncasecmp(type->value.at, stream, n) == 0;
}

static void
note_hints(struct request *req, const struct http_response *response)
{
	for (size_t i = 0; i < REQUEST_ERROR_HINTS; i++) {
		char *to = req->error_hints[i];
		const struct http_field *field =
		    http_fields_find(&response->fields, hints[i]);
		size_t n = field == NULL ? 0 : field->value.len;

		if (n >= sizeof(req->error_hints[i]))
			n = 0;
		if (n > 0)
			memcpy(to, field->value.at, n);
		to[n] = '\0';
	}
}

int
relay_early_head(struct request *req)
{
	struct fields f = { .n = 0 };
	enum http_framing framing =
	    req->is_http10 ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_CHUNKED;

	put(&f, "Content-Type", "text/event-stream");
	put(&f, "Cache-Control", "no-cache");
	put(&f, "X-Accel-Buffering", "no");
	put(&f, "X-Request-Id", req->id);
	if (framing == HTTP_BODY_UNTIL_CLOSE)
		req->wants_close = true;
	req->has_early_head = true;
	req->answer.is_event_stream = true;
	req->status = 200;
	return write_head(req, 200, &f, framing, 0);
}

// A head has left already: what it would have said comes as a comment.
static int
join_early_head(struct request *req)
{
	struct fields f = { .n = 0 };
	char comment[256];
	size_t n = 0;
	int r = 0;

	if (!req->answer.is_event_stream) {
		req->answer.is_event_stream = true;
		return -EBADMSG;
	}
	req->has_source_head = true;
	put_own(&f, req);
	for (size_t i = 0; i < f.n && r == 0; i++) {
		n = (size_t)snprintf(comment, sizeof(comment),
		    ": %.32s: %.100s\n%s", f.set[i].name, f.set[i].value,
		    i + 1 == f.n ? "\n" : "");
		r = answer_body(&req->answer, (const uint8_t *)comment, n);
	}
	return r;
}

// A stream is ours then, and a whole answer is sent when all of it is there.
static int
head_of_translated(struct request *req, const struct http_response *response)
{
	struct fields f = { .n = 0 };
	enum http_framing framing =
	    req->is_http10 ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_CHUNKED;
	int r = 0;

	req->needs_done = false;
	if (!req->wants_stream)
		return translation_begin(req);
	if (req->has_early_head) {
		r = join_early_head(req);
	} else if (!req->answer.is_event_stream) {
		return -EBADMSG;
	} else {
		put_upstream(&f, &response->fields);
		put_own(&f, req);
		req->has_source_head = true;
		req->wants_close |= framing == HTTP_BODY_UNTIL_CLOSE;
		r = write_head(req, 200, &f, framing, 0);
	}
	return r < 0 ? r : translation_begin(req);
}

int
relay_head(struct request *req, const struct http_response *response)
{
	struct fields f = { .n = 0 };
	enum http_framing framing = framing_for(req, response);

	if (response->status >= 300) {
		req->is_collecting_error = true;
		note_hints(req, response);
		return 0;
	}
	note_content_type(req, response);
	req->needs_done = req->answer.is_event_stream &&
	    response->framing == HTTP_BODY_UNTIL_CLOSE &&
	    (req->endpoint == ENDPOINT_CHAT ||
		req->endpoint == ENDPOINT_COMPLETIONS);
	if (req->attempt->is_translated)
		return head_of_translated(req, response);
	if (req->has_early_head)
		return join_early_head(req);
	req->has_source_head = true;
	if (framing == HTTP_BODY_UNTIL_CLOSE)
		req->wants_close = true;
	put_upstream(&f, &response->fields);
	put_own(&f, req);
	return write_head(req, response->status, &f, framing, response->length);
}

// ---- errors

static bool
is_openai_error(const struct buf *body)
{
	json_error_t ignored;
	json_t *root = json_loadb((const char *)buf_data(body), buf_len(body),
	    JSON_REJECT_DUPLICATES, &ignored);
	json_t *error = json_object_get(root, "error");
	bool is = json_is_string(json_object_get(error, "message"));

	json_decref(root);
	return is;
}

static void
copy_message(char *ret, size_t size, const char *text, size_t len)
{
	size_t n = len < size - 1 ? len : size - 1;

	memcpy(ret, text, n);
	ret[n] = '\0';
}

// Too long for the context, by one of the ways in which servers say so.
static bool
is_context_overflow(const struct request *req)
{
	static const char *const codes[] = { "context_length_exceeded",
		"exceed_context_size_error" };
	static const char *const what[] = { "context", "n_ctx", "prompt",
		"token" };
	static const char *const how[] = { "exceed", "too long", "too many",
		"greater than", "longer than", "maximum" };
	const char *text = (const char *)buf_data(&req->error_body);
	size_t n = buf_len(&req->error_body);
	bool has_what = false, has_how = false;

	if (req->status != 400 || n == 0)
		return false;
	for (size_t i = 0; i < N_ELEMENTS(codes); i++)
		if (memmem(text, n, codes[i], strlen(codes[i])) != NULL)
			return true;
	for (size_t i = 0; i < N_ELEMENTS(what); i++)
		has_what |= memmem(text, n, what[i], strlen(what[i])) != NULL;
	for (size_t i = 0; i < N_ELEMENTS(how); i++)
		has_how |= memmem(text, n, how[i], strlen(how[i])) != NULL;
	return has_what && has_how;
}

// A host with a larger context may do it.
static bool
try_larger(struct request *req)
{
	struct failure failure;

	if (req->candidates.next >= req->candidates.n ||
	    !is_context_overflow(req) ||
	    !candidates_want_larger(&req->candidates))
		return false;
	failure_set(&failure, 400, "context_length_exceeded",
	    "the request is longer than the context of the model");
	request_attempt_failed(req, &failure);
	return true;
}

// The words that a foreign error body has for a person.
static void
find_message(const struct request *req, char ret[static OPENAI_ERROR_TEXT_MAX])
{
	static const char *const keys[] = { "error", "message", "detail" };
	const struct buf *body = &req->error_body;
	json_error_t ignored;
	json_t *root = NULL;

	(void)snprintf(ret, OPENAI_ERROR_TEXT_MAX,
	    "the server answered %d and said no more", req->status);
	if (req->error_overflow || buf_len(body) == 0)
		return;
	root = json_loadb(
	    (const char *)buf_data(body), buf_len(body), 0, &ignored);
	for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
		json_t *text = json_object_get(root, keys[i]);

		if (!json_is_string(text))
			continue;
		copy_message(ret, OPENAI_ERROR_TEXT_MAX,
		    json_string_value(text), json_string_length(text));
		break;
	}
	if (root == NULL && memchr(buf_data(body), 0, buf_len(body)) == NULL)
		copy_message(ret, OPENAI_ERROR_TEXT_MAX,
		    (const char *)buf_data(body), buf_len(body));
	json_decref(root);
}

static const char *
code_of(int status)
{
	switch (status) {
	case 400:
		return "invalid_value";
	case 401:
		return "invalid_api_key";
	case 403:
		return "insufficient_quota";
	case 404:
		return "model_not_found";
	case 429:
		return "rate_limit_exceeded";
	case 503:
		return "service_unavailable";
	default:
		return status < 500 ? "upstream_error"
				    : "internal_server_error";
	}
}

// The head said 200 already.  Line ends of the JSON would end the event.
static void
relay_error_event(struct request *req, const char *body, size_t len)
{
	struct failure failure;
	struct buf event;
	int r;

	buf_init(&event, ERROR_BODY_MAX + 64);
	r = buf_append(&event, "data: ", 6);
	if (r == 0)
		r = buf_append(&event, body, len);
	for (size_t i = 0; i < buf_len(&event); i++)
		if (buf_data(&event)[i] == '\r' || buf_data(&event)[i] == '\n')
			buf_data(&event)[i] = ' ';
	if (r == 0)
		r = buf_append(&event, "\n\n", 2);
	if (r == 0)
		r = answer_body(
		    &req->answer, buf_data(&event), buf_len(&event));
	if (r == 0)
		(void)!answer_flush(&req->answer);
	buf_release(&event);
	failure_set(&failure, req->status, "upstream_error",
	    "the server answered %d", req->status);
	request_broke_off(req, &failure);
}

void
relay_json(struct request *req, int status, const char *body, size_t len)
{
	struct fields f = { .n = 0 };
	int r;

	req->is_collecting_error = false;
	if (req->translation != NULL)
		req->translation->is_ended = true;
	if (req->has_early_head) {
		relay_error_event(req, body, len);
		return;
	}
	put(&f, "Content-Type", "application/json");
	for (size_t i = 0; i < REQUEST_ERROR_HINTS; i++)
		if (req->error_hints[i][0] != '\0')
			put(&f, hints[i], req->error_hints[i]);
	put_own(&f, req);
	r = write_head(req, status, &f, HTTP_BODY_LENGTH, len);
	if (r == 0)
		r = answer_body(&req->answer, (const uint8_t *)body, len);
	if (r < 0)
		answer_drop(&req->answer);
	request_answer_end(req);
}

void
relay_error(struct request *req)
{
	char body[OPENAI_ERROR_MAX];
	char message[OPENAI_ERROR_TEXT_MAX];
	struct openai_error error = { .message = message,
		.is_typed = endpoint_is_anthropic(req->endpoint) };
	struct failure failure;

	if (try_larger(req))
		return;
	// Our own key there is wrong: that is nothing of the client's.
	if (req->status == 401 && req->attempt != NULL &&
	    req->attempt->to.source == SOURCE_LOCAL) {
		failure_set(&failure, 502, "backend_refused",
		    "the backend does not take the key of this node");
		error.message = failure.message;
		error.status = failure.status;
		error.code = failure.code;
		relay_json(
		    req, error.status, body, openai_error_body(&error, body));
		return;
	}
	// A redirect would name a destination: never followed, never told.
	error.status = req->status < 400 ? 502 : req->status;
	error.code = code_of(error.status);
	if (!req->error_overflow && req->status >= 400 &&
	    is_openai_error(&req->error_body)) {
		relay_json(req, req->status,
		    (const char *)buf_data(&req->error_body),
		    buf_len(&req->error_body));
		return;
	}
	find_message(req, message);
	relay_json(req, error.status, body, openai_error_body(&error, body));
}

void
relay_break(struct request *req, const struct failure *failure)
{
	char event[OPENAI_ERROR_MAX];
	struct openai_error error = { .message = failure->message,
		.code = failure->code,
		.status = failure->status,
		.is_typed = endpoint_is_anthropic(req->endpoint) ||
		    req->endpoint == ENDPOINT_RESPONSES };
	size_t n;

	if (req->translation != NULL && req->translation->out.emits) {
		translation_break(req, failure->message);
		return;
	}
	// Into a sealed answer no event: the opener sees that it was cut, and
	// tells its client itself.
	if (!req->answer.is_event_stream || req->answer.is_sealed)
		return;
	if (req->answer.framing == HTTP_BODY_LENGTH)
		return;
	// The event that was cut off is ended by an empty line first.
	n = openai_error_event(&error, event);
	if (answer_body(&req->answer, (const uint8_t *)"\n\n", 2) == 0 &&
	    answer_body(&req->answer, (const uint8_t *)event, n) == 0)
		(void)!answer_flush(&req->answer);
}
