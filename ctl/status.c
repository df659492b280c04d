// Reads the status that proxyd serves and prints it as tables.  Peers choose
// much of its text: all of it is escaped, so that none reaches the terminal
// as a command.  It must never print a member that it does not know.
#include "ctl/status.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/level_limits.h"
#include "proto/ipc.pb-c.h"

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

static bool
is_true(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

// Whatever answers may have written any number.
static json_int_t
count_of(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n < 0 || n > INT32_MAX ? 0 : n;
}

// ---- cells: columns are as wide as their widest cell

enum { CELL_MAX = 96, COLUMNS_MAX = 10, ROWS_MAX = 4096 };

struct row {
	char cells[COLUMNS_MAX][CELL_MAX];
};

struct grid {
	size_t n_columns, n_rows, room;
	struct row *rows; // owned
};

static void
put(char *cell, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(cell);

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		// The end is kept free for the mark of a cut: one mark, also
		// when more is put into a cell that is full.
		if (len + 8 > CELL_MAX) {
			if (memcmp(cell + len - 3, "...", 3) != 0)
				memcpy(cell + len, "...", 4);
			return;
		}
		if (c >= 0x20 && c < 0x7f && c != '\\') {
			cell[len++] = (char)c;
		} else {
			cell[len++] = '\\';
			cell[len++] = 'x';
			cell[len++] = digits[c >> 4];
			cell[len++] = digits[c & 15];
		}
		cell[len] = '\0';
	}
}

static struct row *
add_row(struct grid *g)
{
	struct row *rows;

	if (g->n_rows >= ROWS_MAX)
		return NULL;
	if (g->n_rows == g->room) {
		size_t room = g->room == 0 ? 16 : 2 * g->room;

		rows = reallocarray(g->rows, room, sizeof(*rows));
		if (rows == NULL)
			return NULL;
		g->rows = rows;
		g->room = room;
	}
	memset(&g->rows[g->n_rows], 0, sizeof(g->rows[0]));
	return &g->rows[g->n_rows++];
}

static void
add_header(struct grid *g, const char *const *names, size_t n)
{
	struct row *row = add_row(g);

	g->n_columns = n;
	for (size_t i = 0; row != NULL && i < n; i++)
		put(row->cells[i], names[i]);
}

static void
print_grid(FILE *f, struct grid *g)
{
	size_t width[COLUMNS_MAX] = { 0 };

	for (size_t r = 0; r < g->n_rows; r++)
		for (size_t c = 0; c < g->n_columns; c++) {
			size_t len = strlen(g->rows[r].cells[c]);

			if (len > width[c])
				width[c] = len;
		}
	for (size_t r = 0; r < g->n_rows; r++) {
		for (size_t c = 0; c + 1 < g->n_columns; c++)
			(void)fprintf(
			    f, "  %-*s", (int)width[c], g->rows[r].cells[c]);
		(void)fprintf(f, "  %s\n", g->rows[r].cells[g->n_columns - 1]);
	}
	free(g->rows);
	*g = (struct grid){ 0 };
}

static void
put_list(char *cell, const json_t *list)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		put(cell, "-");
	json_array_foreach(list, i, item)
	{
		if (i > 0)
			put(cell, ", ");
		put(cell, json_is_string(item) ? json_string_value(item) : "?");
	}
}

static void
put_text(char *cell, const json_t *object, const char *name)
{
	const char *text = text_of(object, name);

	put(cell, *text == '\0' ? "-" : text);
}

static void
put_age(char *cell, const json_t *seen, int64_t now_ms)
{
	int64_t s = (now_ms - json_integer_value(seen)) / 1000;
	char text[32];

	if (!json_is_integer(seen) || json_integer_value(seen) <= 0) {
		put(cell, "never");
		return;
	}
	if (s < 1)
		(void)snprintf(text, sizeof(text), "now");
	else if (s < 120)
		(void)snprintf(text, sizeof(text), "%" PRId64 " s ago", s);
	else if (s < 7200)
		(void)snprintf(
		    text, sizeof(text), "%" PRId64 " min ago", s / 60);
	else
		(void)snprintf(
		    text, sizeof(text), "%" PRId64 " h ago", s / 3600);
	put(cell, text);
}

// ---- the parts

static void
print_line(FILE *f, const char *name, const char *text)
{
	char cell[CELL_MAX] = "";

	put(cell, *text == '\0' ? "-" : text);
	(void)fprintf(f, "  %-14s %s\n", name, cell);
}

static void
print_list(FILE *f, const char *name, const json_t *list)
{
	char cell[CELL_MAX] = "";

	put_list(cell, list);
	(void)fprintf(f, "  %-14s %s\n", name, cell);
}

static void
print_attester(FILE *f, const json_t *attester)
{
	const char *problem = text_of(attester, "problem");
	char text[CELL_MAX];

	(void)snprintf(text, sizeof(text), "%s%s%s", text_of(attester, "name"),
	    *problem == '\0' ? "" : ", FAILING: ", problem);
	print_line(f, "attester", text);
}

static void
print_self(FILE *f, const json_t *status)
{
	const char *required = text_of(status, "require_attested");

	(void)fprintf(f, "node\n");
	print_line(f, "id", text_of(status, "id"));
	print_line(f, "role", text_of(status, "role"));
	print_line(f, "version", text_of(status, "version"));
	print_line(f, "api", text_of(status, "api"));
	print_line(f, "management", text_of(status, "management"));
	print_list(f, "mesh", json_object_get(status, "mesh"));
	print_list(f, "models", json_object_get(status, "models"));
	print_attester(f, json_object_get(status, "attester"));
	print_line(
	    f, "attested hosts", *required == '\0' ? "not required" : required);
	print_line(f, "plaintext",
	    is_true(status, "allow_plaintext_peers")
		? "ALLOWED: prompts may leave this machine unencrypted"
		: "never");
	print_line(f, "unsigned keys",
	    is_true(status, "allow_unsigned_keys") ? "ALLOWED" : "never");
}

static void
print_backends(FILE *f, const json_t *list)
{
	static const char *const header[] = { "URL", "STATE", "MODELS",
		"ERROR" };
	struct grid g = { 0 };
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	(void)fprintf(f, "\nbackends\n");
	add_header(&g, header, N_ELEMENTS(header));
	json_array_foreach(list, i, item)
	{
		struct row *row = add_row(&g);

		if (row == NULL)
			break;
		put_text(row->cells[0], item, "url");
		put_text(row->cells[1], item, "state");
		put_list(row->cells[2], json_object_get(item, "models"));
		put_text(row->cells[3], item, "error");
	}
	print_grid(f, &g);
}

static void
print_processes(FILE *f, const json_t *list)
{
	static const char *const header[] = { "NAME", "PID", "STATE",
		"MEMORY" };
	struct grid g = { 0 };
	const json_t *item, *rss;
	char pid[24], mib[24];
	size_t i;

	(void)fprintf(f, "\nprocesses\n");
	add_header(&g, header, N_ELEMENTS(header));
	json_array_foreach(list, i, item)
	{
		struct row *row = add_row(&g);

		if (row == NULL)
			break;
		(void)snprintf(pid, sizeof(pid), "%" JSON_INTEGER_FORMAT,
		    json_integer_value(json_object_get(item, "pid")));
		put_text(row->cells[0], item, "name");
		put(row->cells[1], pid);
		put_text(row->cells[2], item, "state");
		rss = json_object_get(item, "rss_bytes");
		if (!json_is_integer(rss))
			continue;
		(void)snprintf(mib, sizeof(mib), "%.1f MiB",
		    (double)json_integer_value(rss) / (1024 * 1024));
		put(row->cells[3], mib);
	}
	print_grid(f, &g);
}

// Our requests there and, as it says, those of others.
static void
put_load(char *cell, const json_t *peer)
{
	const json_t *own = json_object_get(peer, "requests_now"), *one;
	json_int_t others = 0;
	char text[64];
	size_t i;

	if (!json_is_integer(own) ||
	    strcmp(text_of(peer, "role"), "host") != 0) {
		put(cell, "-");
		return;
	}
	json_array_foreach(json_object_get(peer, "others"), i, one)
	{
		// Models of one backend share what it has to do.
		json_int_t n =
		    count_of(one, "running") + count_of(one, "queued");

		others = n > others ? n : others;
	}
	(void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
	    json_integer_value(own));
	put(cell, text);
	if (others == 0)
		return;
	(void)snprintf(text, sizeof(text), "+%" JSON_INTEGER_FORMAT, others);
	put(cell, text);
}

static void
fill_peer(struct row *row, const json_t *peer, int64_t now_ms)
{
	const json_t *rtt = json_object_get(peer, "rtt_ms");
	const json_t *attestation = json_object_get(peer, "attestation");
	char number[32];

	put_text(row->cells[0], peer, "short_id");
	put_text(row->cells[1], peer, "role");
	put_list(row->cells[2], json_object_get(peer, "models"));
	if (!is_true(peer, "connected"))
		(void)snprintf(number, sizeof(number), "-");
	else if (json_is_number(rtt))
		(void)snprintf(
		    number, sizeof(number), "%.1f ms", json_number_value(rtt));
	else
		(void)snprintf(number, sizeof(number), "?");
	put(row->cells[3], number);
	put_load(row->cells[4], peer);
	put_text(row->cells[5], peer, "encryption");
	put_text(row->cells[6], attestation, "level");
	put_text(row->cells[7], peer, "dialect");
	put_age(
	    row->cells[8], json_object_get(peer, "last_seen_unix_ms"), now_ms);
}

static bool
any_has_level(const json_t *peers, const char *level)
{
	const json_t *peer;
	size_t i;

	json_array_foreach(peers, i, peer)
	{
		const json_t *a = json_object_get(peer, "attestation");

		if (strcmp(text_of(a, "level"), level) == 0)
			return true;
	}
	return false;
}

// What the levels in the list do not protect from.
static void
print_limits(FILE *f, const json_t *peers)
{
	static const char *const names[] = {
		[IPC__LEVEL__LEVEL_SELF_SIGNED] = "self-signed",
		[IPC__LEVEL__LEVEL_TOFU] = "tofu",
		[IPC__LEVEL__LEVEL_PINNED] = "pinned",
		[IPC__LEVEL__LEVEL_HARDWARE] = "hardware",
	};

	for (unsigned i = 1; i < N_ELEMENTS(names); i++)
		if (any_has_level(peers, names[i]))
			(void)fprintf(
			    f, "  %s: %s\n", names[i], level_limits(i));
}

static void
print_peers(FILE *f, const json_t *list, int64_t now_ms)
{
	static const char *const header[] = { "PEER", "ROLE", "MODELS", "RTT",
		"LOAD", "ENCRYPTION", "ATTESTATION", "DIALECT", "LAST SEEN" };
	struct grid g = { 0 };
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0) {
		(void)fprintf(f, "\nno peers\n");
		return;
	}
	(void)fprintf(f, "\npeers\n");
	add_header(&g, header, N_ELEMENTS(header));
	json_array_foreach(list, i, item)
	{
		struct row *row = add_row(&g);

		if (row == NULL)
			break;
		fill_peer(row, item, now_ms);
	}
	print_grid(f, &g);
	print_limits(f, list);
}

void
status_print(FILE *f, const json_t *status, int64_t now_ms)
{
	print_self(f, status);
	print_backends(f, json_object_get(status, "backends"));
	print_processes(f, json_object_get(status, "processes"));
	print_peers(f, json_object_get(status, "peers"), now_ms);
}

json_t *
status_parse(const char *body, size_t len, char *error, size_t error_len)
{
	json_error_t where;
	json_t *status = json_loadb(body, len, JSON_REJECT_DUPLICATES, &where);

	if (status == NULL) {
		(void)snprintf(error, error_len, "its answer is no JSON");
		return NULL;
	}
	if (json_is_string(json_object_get(status, "id")) &&
	    json_is_array(json_object_get(status, "peers")) &&
	    json_is_array(json_object_get(status, "processes")))
		return status;
	(void)snprintf(
	    error, error_len, "its answer is not the status of a meshllm node");
	json_decref(status);
	return NULL;
}

const char *
status_token(const json_t *status)
{
	const char *token = text_of(status, "token");
	size_t len = strlen(token);

	// base64url, with or without padding.
	if (len == 0 || len > STATUS_TOKEN_MAX ||
	    strspn(token,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_+/=") != len)
		return NULL;
	return token;
}
