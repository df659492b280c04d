// Looks for secrets in the memory of running processes, as root would who
// reads /proc/PID/mem or calls process_vm_readv(2).  For tests only.
//
//   meshllm-memory-search [--needle HEX]... [--x25519 HEX]... PID...
//
// --needle: these bytes.  --x25519: any 32 bytes that are the secret of this
// public key, found by trying all that look random in memory that was written
// to.  One line for each thing found, `PID WAY WHAT NUMBER`, then for each
// process and way `PID WAY read BYTES denied BYTES tried CANDIDATES`.
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "common/cleanup.h"

enum {
	WANTED_MAX = 32,
	NEEDLE_MAX = 256,
	KEY_LEN = 32,
	PAGE = 4096,
	// 32 random bytes have about 30 different values, 16 of them high.
	DIFFERENT_MIN = 22,
	HIGH_MIN = 5,
	MAP_MAX = 256 * 1024 * 1024,
};

struct wanted {
	uint8_t bytes[NEEDLE_MAX];
	size_t len;
};

struct search {
	struct wanted needles[WANTED_MAX], keys[WANTED_MAX];
	size_t n_needles, n_keys;
	pid_t pid;
	const char *way;
	int mem_fd; // -1: process_vm_readv
	uint64_t n_read, n_denied, n_tried;
};

// false: this page cannot be read.
static bool
read_page(struct search *s, uint64_t at, uint8_t ret[static PAGE])
{
	struct iovec local = { ret, PAGE };
	struct iovec remote = { (void *)(uintptr_t)at, PAGE };
	ssize_t n;

	if (s->mem_fd != -1)
		n = pread(s->mem_fd, ret, PAGE, (off_t)at);
	else
		n = process_vm_readv(s->pid, &local, 1, &remote, 1, 0);
	return n == PAGE;
}

static void
report(struct search *s, const char *what, size_t i)
{
	(void)printf("%d %s %s %zu\n", s->pid, s->way, what, i);
}

static void
find_needles(struct search *s, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < s->n_needles; i++)
		if (memmem(bytes, len, s->needles[i].bytes,
			s->needles[i].len) != NULL)
			report(s, "needle", i);
}

static bool
looks_random(const uint8_t *bytes)
{
	uint64_t seen[4] = { 0 };
	int different = 0, high = 0;

	for (size_t i = 0; i < KEY_LEN; i++) {
		seen[bytes[i] / 64] |= (uint64_t)1 << bytes[i] % 64;
		high += bytes[i] >= 0x80;
	}
	for (size_t i = 0; i < 4; i++)
		different += __builtin_popcountll(seen[i]);
	return different >= DIFFERENT_MIN && high >= HIGH_MIN;
}

static void
try_keys(struct search *s, const uint8_t *bytes, size_t len)
{
	uint8_t public[KEY_LEN];

	for (size_t at = 0; at + KEY_LEN <= len; at++) {
		if (!looks_random(bytes + at))
			continue;
		s->n_tried++;
		(void)crypto_scalarmult_base(public, bytes + at);
		for (size_t i = 0; i < s->n_keys; i++)
			if (memcmp(public, s->keys[i].bytes, KEY_LEN) == 0)
				report(s, "x25519", i);
	}
}

// One mapping, page by page, what cannot be read as zeros.
static void
search_map(struct search *s, uint64_t from, uint64_t to, bool has_written)
{
	size_t len = (size_t)(to - from);
	AUTO_FREE uint8_t *bytes = len > MAP_MAX ? NULL : calloc(1, len);

	// What was not looked at must not pass for what holds nothing.
	if (bytes == NULL) {
		(void)fprintf(
		    stderr, "%d: %zu bytes are too many\n", (int)s->pid, len);
		exit(EXIT_FAILURE);
	}
	for (size_t at = 0; at < len; at += PAGE)
		if (read_page(s, from + at, bytes + at)) {
			s->n_read += PAGE;
		} else {
			s->n_denied += PAGE;
			memset(bytes + at, 0, PAGE);
		}
	find_needles(s, bytes, len);
	if (has_written && s->n_keys > 0)
		try_keys(s, bytes, len);
}

static void
search_process(struct search *s, pid_t pid, bool by_mem)
{
	char path[64], line[512], perms[8], name[256];
	uint64_t from, to;
	FILE *maps;

	s->pid = pid;
	s->way = by_mem ? "mem" : "vm_readv";
	s->n_read = s->n_denied = s->n_tried = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	s->mem_fd = by_mem ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	if ((by_mem && s->mem_fd == -1) || (maps = fopen(path, "re")) == NULL) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	while (fgets(line, sizeof(line), maps) != NULL) {
		name[0] = '\0';
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to,
			perms, name) < 3 ||
		    strncmp(name, "[v", 2) == 0)
			continue;
		// A mapping that forbids reading can be read by root as well.
		search_map(s, from, to, perms[1] == 'w' || name[0] != '/');
	}
	(void)fclose(maps);
	close_fd(&s->mem_fd);
	(void)printf("%d %s read %lu denied %lu tried %lu\n", pid, s->way,
	    s->n_read, s->n_denied, s->n_tried);
}

static void
add(struct wanted *list, size_t *n, const char *hex)
{
	if (*n == WANTED_MAX ||
	    sodium_hex2bin(list[*n].bytes, NEEDLE_MAX, hex, strlen(hex), NULL,
		&list[*n].len, NULL) == -1) {
		(void)fprintf(stderr, "not hex, or too much: %s\n", hex);
		exit(EXIT_FAILURE);
	}
	(*n)++;
}

int
main(int argc, char *argv[])
{
	static struct search s;
	int i = 1;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	for (; i + 1 < argc; i += 2)
		if (strcmp(argv[i], "--needle") == 0)
			add(s.needles, &s.n_needles, argv[i + 1]);
		else if (strcmp(argv[i], "--x25519") == 0)
			add(s.keys, &s.n_keys, argv[i + 1]);
		else
			break;
	for (; i < argc; i++) {
		search_process(&s, atoi(argv[i]), true);
		search_process(&s, atoi(argv[i]), false);
	}
	return EXIT_SUCCESS;
}
