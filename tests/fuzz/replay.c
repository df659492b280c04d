// main() of a fuzz target when libFuzzer is not there: feeds each file of the
// corpus, its truncations, and mutations of it that are the same every time.
//
//	NAME_fuzz [directory]
//
// Without an argument the directory is tests/fuzz/corpus/NAME of the source
// tree ($srcdir, which automake sets).  MUTATIONS=n: so many for each file.
// It trusts the corpus; a file is given out at its exact size on the heap, so
// that a sanitizer sees a read beyond its end.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "tests/fuzz/fuzz.h"

enum {
	FILE_MAX = 1024 * 1024,
	TRUNCATIONS_MAX = 2048, // of a longer file: evenly spaced
	MUTATIONS = 2000,
	EDITS_MAX = 8,
};

struct input {
	uint8_t *bytes;
	size_t len;
};

static uint64_t random_state;

// xorshift64: the same on every machine.
static size_t
random_below(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return n == 0 ? 0 : (size_t)(random_state % n);
}

static int
feed(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	if (copy == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(copy, bytes, len);
	(void)LLVMFuzzerTestOneInput(copy, len); // always 0
	free(copy);
	return 0;
}

// bytes has room for one more piece of the same length.
static void
edit(struct input *in, const uint8_t *original, size_t original_len)
{
	static const uint8_t telling[] = "\r\n\0 :;,\"\\{}[]=-+0\x7f\x80\xff";
	size_t at = random_below(in->len), n, from;

	if (in->len == 0)
		return;
	n = 1 + random_below(in->len - at < 16 ? in->len - at : 16);
	switch (random_below(5)) {
	case 0:
		in->bytes[at] ^= (uint8_t)(1u << random_below(8));
		break;
	case 1:
		in->bytes[at] = telling[random_below(sizeof(telling) - 1)];
		break;
	case 2:
		memmove(in->bytes + at, in->bytes + at + n, in->len - at - n);
		in->len -= n;
		break;
	case 3:
		if (in->len >= 2 * original_len)
			break;
		memmove(in->bytes + at + 1, in->bytes + at, in->len - at);
		in->bytes[at] = telling[random_below(sizeof(telling) - 1)];
		in->len++;
		break;
	default:
		from = random_below(original_len);
		if (n > original_len - from)
			n = original_len - from;
		memcpy(in->bytes + at, original + from, n);
		break;
	}
}

static int
feed_mutations(const struct input *original, size_t mutations)
{
	struct input in;
	int r = 0;

	in.bytes = malloc(2 * original->len + 1);
	if (in.bytes == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < mutations; i++) {
		memcpy(in.bytes, original->bytes, original->len);
		in.len = original->len;
		for (size_t n = 1 + random_below(EDITS_MAX); n > 0; n--)
			edit(&in, original->bytes, original->len);
		r = feed(in.bytes, in.len);
	}
	free(in.bytes);
	return r;
}

static int
feed_all(const struct input *in)
{
	const char *more = getenv("MUTATIONS");
	size_t mutations =
	    more != NULL ? strtoul(more, NULL, 10) : (size_t)MUTATIONS;
	size_t step = in->len / TRUNCATIONS_MAX + 1;
	int r = feed(in->bytes, in->len);

	random_state = 0x9e3779b97f4a7c15u ^ in->len;
	for (size_t len = 0; r == 0 && len < in->len; len += step)
		r = feed(in->bytes, len);
	if (r < 0)
		return r;
	return feed_mutations(in, in->len > 65536 ? mutations / 20 : mutations);
}

static int
replay_file(const char *dir, const char *name)
{
	AUTO_FREE char *path = NULL;
	AUTO_FREE uint8_t *bytes = NULL;
	struct input in;
	FILE *file;

	if (asprintf(&path, "%s/%s", dir, name) < 0 ||
	    (bytes = malloc(FILE_MAX)) == NULL)
		return -ENOMEM;
	file = fopen(path, "rb");
	if (file == NULL)
		return -errno;
	in.bytes = bytes;
	in.len = fread(bytes, 1, FILE_MAX, file);
	(void)fclose(file); // was only read
	return feed_all(&in);
}

static int
replay_directory(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	size_t n = 0;
	int r = 0;

	if (d == NULL) {
		(void)fprintf(stderr, "%s: %s\n", dir, strerror(errno));
		return -ENOENT;
	}
	while (r == 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		r = replay_file(dir, entry->d_name);
		n++;
	}
	(void)closedir(d); // was only read
	if (n == 0)
		r = -ENOENT;
	(void)printf("%s: %zu files, result %d\n", dir, n, r);
	return r;
}

// "x/NAME_fuzz" or "x/lt-NAME_fuzz" -> NAME.
static char *
corpus_of(const char *program)
{
	const char *srcdir = getenv("srcdir");
	const char *name = strrchr(program, '/');
	const char *end;
	char *path;

	name = name == NULL ? program : name + 1;
	end = strstr(name, "_fuzz");
	if (end == NULL ||
	    asprintf(&path, "%s/tests/fuzz/corpus/%.*s",
		srcdir == NULL ? "." : srcdir, (int)(end - name), name) < 0)
		return NULL;
	return path;
}

int
main(int argc, char **argv)
{
	AUTO_FREE char *dir = NULL;
	int r;

	dir = argc > 1 ? strdup(argv[1]) : corpus_of(argv[0]);
	if (dir == NULL)
		return EXIT_FAILURE;
	r = replay_directory(dir);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
