// A strict scanner of form data that keeps two fields.  The bytes come from a
// client or a peer and are trusted with nothing.  It must never accept a body
// that the backend's parser could route differently from us.
#include "proxyd/multipart.h"

#include <errno.h>
#include <string.h>

#include "proxyd/http_head.h"
#include "proxyd/json_text.h"

enum state {
	M_CONTENT, // of a part, or what comes before the first one
	M_BEHIND,  // the delimiter: CRLF or "--"
	M_LF,	   // of the line of a delimiter
	M_DASH,	   // the second one of the last delimiter
	M_HEAD,
	M_EPILOGUE_CR, // the end, or one last CRLF
	M_EPILOGUE_LF,
	M_END,
	M_BROKEN,
};

enum field { FIELD_OTHER, FIELD_MODEL, FIELD_STREAM };

static const char not_form_data[] =
    "The request body is not valid multipart/form-data";

// ---- the type

static bool
is_boundary_character(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') ||
	    (c != '\0' && strchr("'()+_,-./:=?", c) != NULL);
}

static int
check_boundary(struct slice boundary)
{
	if (boundary.len == 0 || boundary.len > MULTIPART_BOUNDARY_MAX)
		return -EINVAL;
	for (size_t i = 0; i < boundary.len; i++)
		if (!is_boundary_character(boundary.at[i]))
			return -EINVAL;
	return 0;
}

// One "name=value" behind a ';'; quotation marks are taken off.  -EINVAL: no
// parameter, or one with a quoted pair.  -ENOENT: there are no more.
static int
next_parameter(struct slice *rest, struct slice *ret_name, struct slice *ret)
{
	const char *equals;
	size_t n = 0;

	*rest = slice_trim(*rest);
	if (rest->len == 0)
		return -ENOENT;
	if (rest->at[0] != ';')
		return -EINVAL;
	*rest = slice_trim((struct slice){ rest->at + 1, rest->len - 1 });
	equals = memchr(rest->at, '=', rest->len);
	if (equals == NULL)
		return -EINVAL;
	*ret_name = (struct slice){ rest->at, (size_t)(equals - rest->at) };
	*rest = (struct slice){ equals + 1, rest->len - ret_name->len - 1 };
	if (!http_is_token(*ret_name))
		return -EINVAL;
	if (rest->len == 0 || rest->at[0] != '"') {
		while (n < rest->len && rest->at[n] != ';')
			n++;
		*ret = slice_trim((struct slice){ rest->at, n });
		*rest = (struct slice){ rest->at + n, rest->len - n };
		return http_is_token(*ret) ? 0 : -EINVAL;
	}
	for (n = 1; n < rest->len && rest->at[n] != '"'; n++)
		if (rest->at[n] == '\\')
			return -EINVAL;
	if (n == rest->len)
		return -EINVAL;
	*ret = (struct slice){ rest->at + 1, n - 1 };
	*rest = (struct slice){ rest->at + n + 1, rest->len - n - 1 };
	return 0;
}

int
multipart_boundary(struct slice type, struct slice *ret)
{
	static const char form[] = "multipart/form-data";
	size_t n = sizeof(form) - 1;
	struct slice rest, name, value;
	bool has = false;
	int r;

	if (type.len < n || strncasecmp(type.at, form, n) != 0)
		return -EINVAL;
	rest = (struct slice){ type.at + n, type.len - n };
	while ((r = next_parameter(&rest, &name, &value)) == 0) {
		if (!slice_is_nocase(name, "boundary"))
			continue;
		if (has)
			return -EINVAL;
		has = true;
		*ret = value;
	}
	if (r != -ENOENT || !has)
		return -EINVAL;
	return check_boundary(*ret);
}

// ---- heads of parts

static bool
refuse(struct multipart *m, const char *why)
{
	m->why = why;
	return false;
}

static bool
take_name(struct multipart *m, struct slice name, bool is_file)
{
	if (slice_is(name, "model")) {
		if (m->has_model)
			return refuse(m, "model is given twice");
		if (is_file)
			return refuse(m, "model must not be a file");
		m->has_model = true;
		m->field = FIELD_MODEL;
	} else if (slice_is(name, "stream")) {
		if (m->has_stream)
			return refuse(m, "stream is given twice");
		m->has_stream = true;
		m->field = FIELD_STREAM;
	}
	return true;
}

static bool
take_disposition(struct multipart *m, struct slice value)
{
	static const char form[] = "form-data";
	size_t n = sizeof(form) - 1;
	struct slice rest, key, text, name = { NULL, 0 };
	bool is_file = false;
	int r;

	if (value.len < n || strncasecmp(value.at, form, n) != 0)
		return false;
	rest = (struct slice){ value.at + n, value.len - n };
	while ((r = next_parameter(&rest, &key, &text)) == 0) {
		if (slice_is_nocase(key, "name*"))
			return false;
		if (slice_is_nocase(key, "name") && name.at != NULL)
			return refuse(m, "a part has two names");
		if (slice_is_nocase(key, "name"))
			name = text;
		else
			is_file = true; // filename, filename*, any other
	}
	if (r != -ENOENT || name.at == NULL)
		return refuse(m, "a part has no name that can be read");
	return take_name(m, name, is_file);
}

static bool
take_line(struct multipart *m, struct slice line, bool *has_disposition)
{
	const char *colon = memchr(line.at, ':', line.len);
	struct slice name, value;

	if (colon == NULL)
		return false;
	name = (struct slice){ line.at, (size_t)(colon - line.at) };
	value =
	    slice_trim((struct slice){ colon + 1, line.len - name.len - 1 });
	if (!http_is_token(name) || !http_is_field_value(value))
		return false;
	if (slice_is_nocase(name, "Content-Transfer-Encoding"))
		return slice_is_nocase(value, "binary") ||
		    slice_is_nocase(value, "8bit") ||
		    slice_is_nocase(value, "7bit") ||
		    refuse(m, "a part is encoded");
	if (!slice_is_nocase(name, "Content-Disposition"))
		return true;
	if (*has_disposition)
		return refuse(m, "a part has two dispositions");
	*has_disposition = true;
	return take_disposition(m, value);
}

// The head is complete, with the empty line.
static bool
take_head(struct multipart *m)
{
	bool has_disposition = false;
	size_t at = 0, end = m->head_len - 2;

	m->field = FIELD_OTHER;
	while (at < end) {
		const char *lf = memchr(m->head + at, '\n', end - at);
		size_t n = (size_t)(lf - (m->head + at));

		if (!take_line(m, (struct slice){ m->head + at, n - 1 },
			&has_disposition))
			return false;
		at += n + 1;
	}
	return has_disposition || refuse(m, "a part has no name");
}

static bool
step_head(struct multipart *m, uint8_t c)
{
	size_t n = m->head_len;
	char last = n > 0 ? m->head[n - 1] : '\0';

	if (n == MULTIPART_HEAD_MAX)
		return refuse(m, "the head of a part is too large");
	// A line ends with CRLF and with nothing else.
	if (c == '\0' || (c == '\n') != (last == '\r'))
		return false;
	m->head[m->head_len++] = (char)c;
	n++;
	if (c != '\n')
		return true;
	if (n == 2 || memcmp(m->head + n - 4, "\r\n\r\n", 4) == 0) {
		m->state = M_CONTENT;
		m->matched = 0;
		return take_head(m);
	}
	return true;
}

// ---- contents

static bool
keep(struct multipart *m, const void *bytes, size_t n)
{
	if (m->field == FIELD_MODEL) {
		if (n > MODEL_NAME_MAX - m->model_len)
			return refuse(m, "The model name is too long");
		memcpy(m->model + m->model_len, bytes, n);
		m->model_len += n;
	} else if (m->field == FIELD_STREAM) {
		if (n > sizeof(m->value) - m->value_len)
			return refuse(m, "stream must be true or false");
		memcpy(m->value + m->value_len, bytes, n);
		m->value_len += n;
	}
	return true;
}

static bool
value_is(const struct multipart *m, const char *text)
{
	return m->value_len == strlen(text) &&
	    memcmp(m->value, text, m->value_len) == 0;
}

static bool
end_part(struct multipart *m)
{
	if (m->field == FIELD_STREAM) {
		m->stream = value_is(m, "true") || value_is(m, "True") ||
		    value_is(m, "1");
		if (!m->stream && !value_is(m, "false") &&
		    !value_is(m, "False") && !value_is(m, "0"))
			return refuse(m, "stream must be true or false");
	}
	if (m->field == FIELD_MODEL) {
		m->model[m->model_len] = '\0';
		for (size_t i = 0; i < m->model_len; i++)
			if ((uint8_t)m->model[i] < 0x20 || m->model[i] == 0x7f)
				return refuse(
				    m, "Control character in the model name");
		if (!utf8_is_valid(m->model, m->model_len))
			return refuse(m, "The model name is not UTF-8");
	}
	return true;
}

// A CR that is not the delimiter's is content, and may begin the delimiter.
static bool
step_content(struct multipart *m, uint8_t c)
{
	size_t before = m->matched;

	if (c == (uint8_t)m->delimiter[m->matched]) {
		if (++m->matched < m->delimiter_len)
			return true;
		m->state = M_BEHIND;
		return m->parts == 0 || end_part(m);
	}
	if (m->parts == 0) // what is there before the first part
		return false;
	m->matched = 0;
	if (before > 0 && !keep(m, m->delimiter, before))
		return false;
	if (c == '\r') {
		m->matched = 1;
		return true;
	}
	return keep(m, &c, 1);
}

static bool
step(struct multipart *m, uint8_t c)
{
	switch (m->state) {
	case M_CONTENT:
		return step_content(m, c);
	case M_BEHIND:
		m->state = c == '-' ? M_DASH : M_LF;
		return c == '-' || c == '\r';
	case M_LF:
		m->state = M_HEAD;
		m->head_len = 0;
		m->field = FIELD_OTHER;
		if (++m->parts > MULTIPART_PARTS_MAX)
			return refuse(m, "too many parts");
		return c == '\n';
	case M_DASH:
		m->state = M_EPILOGUE_CR;
		return c == '-' && m->parts > 0;
	case M_HEAD:
		return step_head(m, c);
	case M_EPILOGUE_CR:
		m->state = M_EPILOGUE_LF;
		return c == '\r';
	case M_EPILOGUE_LF:
		m->state = M_END;
		return c == '\n';
	default:
		return false;
	}
}

// ---- all of it

void
multipart_init(struct multipart *m, struct slice boundary)
{
	memset(m, 0, sizeof(*m));
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.at, boundary.len);
	m->delimiter_len = 4 + boundary.len;
	// The first one needs no CRLF before it.
	m->matched = 2;
}

const char *
multipart_why(const struct multipart *m)
{
	return m->why == NULL ? not_form_data : m->why;
}

// Content that is kept by nobody, up to the next CR.
static size_t
plain_run(const struct multipart *m, const uint8_t *at, size_t len)
{
	const uint8_t *cr;

	if (m->state != M_CONTENT || m->matched > 0 || m->parts == 0 ||
	    m->field != FIELD_OTHER)
		return 0;
	cr = memchr(at, '\r', len);
	return cr == NULL ? len : (size_t)(cr - at);
}

int
multipart_feed(struct multipart *m, const uint8_t *at, size_t len)
{
	size_t n;

	for (; len > 0; at += n, len -= n) {
		n = plain_run(m, at, len);
		if (n > 0)
			continue;
		n = 1;
		if (!step(m, *at)) {
			m->state = M_BROKEN;
			return -EBADMSG;
		}
	}
	return 0;
}

int
multipart_end(struct multipart *m)
{
	if (m->state == M_EPILOGUE_CR || m->state == M_END)
		return 0;
	m->state = M_BROKEN;
	return -EBADMSG;
}
