// Reads and writes the lines of a trust file.  Trusts the folder that it is
// given; never takes half a file: a line that it does not understand makes
// the whole file void.
#include "attestd/trust.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/hex.h"

static const char *const words[] = {
	[TRUST_PIN] = "pin",
	[TRUST_ALLOW_KEY] = "allow-key",
	[TRUST_REVOKE] = "revoke",
	[TRUST_ROOT] = "root",
	[TRUST_IMAGE] = "image",
	[TRUST_SEEN] = "seen",
	[TRUST_FORGET] = "forget",
};

struct field {
	const char *at;
	size_t len;
};

static struct field
next_field(const char **at, const char *end)
{
	struct field f = { *at, 0 };

	while (*at < end && **at != ' ')
		++*at;
	f.len = (size_t)(*at - f.at);
	if (*at < end)
		++*at;
	return f;
}

static bool
take_id(const char **at, const char *end, uint8_t ret[static TRUST_ID_LEN])
{
	struct field f = next_field(at, end);

	return hex_decode(f.at, f.len, ret, TRUST_ID_LEN) == 0;
}

static bool
take_number(const char **at, const char *end, uint64_t *ret)
{
	struct field f = next_field(at, end);
	uint64_t value = 0;

	if (f.len == 0 || f.len > 18)
		return false;
	for (size_t i = 0; i < f.len; i++) {
		if (f.at[i] < '0' || f.at[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(f.at[i] - '0');
	}
	*ret = value;
	return true;
}

static bool
take_name(const char **at, const char *end, char ret[static TRUST_NAME_MAX + 1])
{
	size_t len = (size_t)(end - *at);

	if (len > TRUST_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((*at)[i] < ' ' || (*at)[i] > '~')
			return false;
	memcpy(ret, *at, len);
	ret[len] = '\0';
	*at = end;
	return true;
}

static bool
has_time(enum trust_kind kind)
{
	return kind == TRUST_SEEN || kind == TRUST_FORGET;
}

static bool
parse_line(const char *at, const char *end, struct trust_line *ret)
{
	struct field word = next_field(&at, end);
	struct trust_line line = { 0 };
	size_t kind = 0;
	bool ok;

	while (kind < N_ELEMENTS(words) &&
	    (strlen(words[kind]) != word.len ||
		memcmp(words[kind], word.at, word.len) != 0))
		kind++;
	if (kind == N_ELEMENTS(words) || !take_id(&at, end, line.id))
		return false;
	line.kind = (enum trust_kind)kind;
	ok = true;
	if (kind == TRUST_PIN || has_time(line.kind))
		ok = take_id(&at, end, line.key);
	if (ok && has_time(line.kind))
		ok = take_number(&at, end, &line.time);
	if (ok && kind == TRUST_ROOT)
		ok = take_name(&at, end, line.name);
	*ret = line;
	return ok && at == end && end[-1] != ' ';
}

// id NULL: before all of the kind.
static int
compare(const struct trust_line *line, enum trust_kind kind, const uint8_t *id)
{
	if (line->kind != kind)
		return line->kind < kind ? -1 : 1;
	return id == NULL ? 1 : memcmp(line->id, id, TRUST_ID_LEN);
}

// Of a sorted list: the first line that is not before this.
static size_t
lower_bound(
    const struct trust_list *list, enum trust_kind kind, const uint8_t *id)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(&list->at[mid], kind, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int
trust_add(struct trust_list *list, const struct trust_line *line)
{
	struct trust_line *at;
	size_t place;

	if (list->n >= TRUST_LINES_MAX)
		return -ENOSPC;
	// Grows in steps of 64: files are small, and read whole.
	if (list->n % 64 == 0) {
		at = reallocarray(list->at, list->n + 64, sizeof(*at));
		if (at == NULL)
			return -ENOMEM;
		list->at = at;
	}
	place =
	    list->is_sorted ? lower_bound(list, line->kind, line->id) : list->n;
	memmove(list->at + place + 1, list->at + place,
	    (list->n - place) * sizeof(*at));
	list->at[place] = *line;
	list->n++;
	return 0;
}

int
trust_parse(
    const char *text, size_t len, struct trust_list *ret, size_t *ret_bad_line)
{
	const char *at = text, *end = text + len;
	struct trust_list list = { 0 };
	struct trust_line line;
	size_t number = 0;
	int r = 0;

	*ret_bad_line = 0;
	while (at < end && r == 0) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		number++;
		if (newline == NULL)
			r = -EBADMSG; // half a line
		else if (newline != at && *at != '#')
			r = parse_line(at, newline, &line)
			    ? trust_add(&list, &line)
			    : -EBADMSG;
		at = newline == NULL ? end : newline + 1;
	}
	if (r < 0) {
		*ret_bad_line = number;
		trust_list_done(&list);
		return r;
	}
	*ret = list;
	return 0;
}

void
trust_list_done(struct trust_list *list)
{
	free(list->at);
	*list = (struct trust_list){ 0 };
}

int
trust_line_text(const struct trust_line *line, char **ret)
{
	char id[2 * TRUST_ID_LEN + 1], key[2 * TRUST_ID_LEN + 1];
	const char *word = words[line->kind];
	int n;

	hex_encode(id, line->id, TRUST_ID_LEN);
	hex_encode(key, line->key, TRUST_ID_LEN);
	if (has_time(line->kind))
		n = asprintf(
		    ret, "%s %s %s %" PRIu64 "\n", word, id, key, line->time);
	else if (line->kind == TRUST_PIN)
		n = asprintf(ret, "%s %s %s\n", word, id, key);
	else if (line->kind == TRUST_ROOT && line->name[0] != '\0')
		n = asprintf(ret, "%s %s %s\n", word, id, line->name);
	else
		n = asprintf(ret, "%s %s\n", word, id);
	return n < 0 ? -ENOMEM : 0;
}

static bool
is_before(const struct trust_line *a, const struct trust_line *b)
{
	int order = compare(a, b->kind, b->id);

	// Two pins of one node: always the same one is found.
	return order != 0 ? order < 0
			  : memcmp(a->key, b->key, TRUST_ID_LEN) < 0;
}

// Shell's: qsort() makes a system call that the verifier may not.
void
trust_sort(struct trust_list *list)
{
	static const size_t gaps[] = { 3905, 2161, 929, 505, 209, 109, 41, 19,
		5, 1 };

	for (size_t g = 0; g < N_ELEMENTS(gaps); g++)
		for (size_t i = gaps[g]; i < list->n; i++) {
			struct trust_line line = list->at[i];
			size_t k = i;

			for (; k >= gaps[g] &&
			     is_before(&line, &list->at[k - gaps[g]]);
			     k -= gaps[g])
				list->at[k] = list->at[k - gaps[g]];
			list->at[k] = line;
		}
	list->is_sorted = true;
}

const struct trust_line *
trust_find(
    const struct trust_list *list, enum trust_kind kind, const uint8_t *id)
{
	size_t i = list->is_sorted ? lower_bound(list, kind, id) : 0;

	for (; i < list->n; i++) {
		const struct trust_line *line = &list->at[i];

		if (line->kind == kind &&
		    (id == NULL || memcmp(line->id, id, TRUST_ID_LEN) == 0))
			return line;
		if (list->is_sorted)
			break;
	}
	return NULL;
}

size_t
trust_remove(struct trust_list *list, enum trust_kind kind,
    const uint8_t id[TRUST_ID_LEN])
{
	size_t kept = 0, n = list->n;

	for (size_t i = 0; i < n; i++)
		if (list->at[i].kind != kind ||
		    memcmp(list->at[i].id, id, TRUST_ID_LEN) != 0)
			list->at[kept++] = list->at[i];
	list->n = kept;
	return n - kept;
}

// ---- files

static int
read_whole(int fd, char **ret, size_t *ret_len)
{
	AUTO_FREE char *text = NULL;
	struct stat st;
	size_t have = 0;
	ssize_t n;

	if (fstat(fd, &st) == -1)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 022) != 0)
		return -EPERM; // others could write into it
	if (st.st_size > TRUST_FILE_MAX)
		return -EFBIG;
	if ((text = malloc((size_t)st.st_size + 1)) == NULL)
		return -ENOMEM;
	while (have < (size_t)st.st_size) {
		n = pread(
		    fd, text + have, (size_t)st.st_size - have, (off_t)have);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -EIO : -errno;
		have += (size_t)n;
	}
	*ret = text;
	*ret_len = have;
	text = NULL;
	return 0;
}

int
trust_load(
    int dir_fd, const char *name, struct trust_list *ret, size_t *ret_bad_line)
{
	AUTO_FREE char *text = NULL;
	AUTO_FD fd = -1;
	size_t len = 0;
	int r;

	*ret_bad_line = 0;
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT) {
		*ret = (struct trust_list){ 0 };
		return 0;
	}
	if (fd == -1)
		return -errno;
	if ((r = read_whole(fd, &text, &len)) < 0)
		return r;
	return trust_parse(text, len, ret, ret_bad_line);
}

static int
write_lines(int fd, const struct trust_list *list)
{
	off_t at = 0;

	for (size_t i = 0; i < list->n; i++) {
		AUTO_FREE char *text = NULL;
		ssize_t n;

		if (trust_line_text(&list->at[i], &text) < 0) {
			text = NULL; // undefined after the failure
			return -ENOMEM;
		}
		n = pwrite(fd, text, strlen(text), at);
		if (n < 0)
			return -errno;
		if ((size_t)n != strlen(text))
			return -ENOSPC;
		at += n;
	}
	return fsync(fd) == -1 ? -errno : 0;
}

int
trust_save(
    int dir_fd, const char *name, const struct trust_list *list, bool for_owner)
{
	char beside[32];
	struct stat st;
	AUTO_FD fd = -1;
	int r;

	(void)snprintf(beside, sizeof(beside), "%s.new", name);
	fd = openat(dir_fd, beside,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -errno;
	if (for_owner &&
	    (fstat(dir_fd, &st) == -1 ||
		fchown(fd, st.st_uid, st.st_gid) == -1))
		return -errno;
	if ((r = write_lines(fd, list)) < 0)
		return r;
	if (renameat(dir_fd, beside, dir_fd, name) == -1)
		return -errno;
	return fsync(dir_fd) == -1 ? -errno : 0;
}
