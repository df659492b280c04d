// Big-endian TPM structures, read with every step checked: after the first
// step beyond the end all results are zero and the reader stays bad, so that
// a parser asks once, at its end.
#ifndef ATTESTD_TPM_READER_H
#define ATTESTD_TPM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpm_bytes {
	const uint8_t *at; // borrowed
	size_t len;
};

struct tpm_reader {
	const uint8_t *at; // borrowed
	size_t left;
	bool is_bad;
};

static inline struct tpm_reader
tpm_reader_of(const void *bytes, size_t len)
{
	return (struct tpm_reader){ bytes, len, false };
}

static inline struct tpm_bytes
tpm_read_bytes(struct tpm_reader *r, size_t n)
{
	struct tpm_bytes ret = { NULL, 0 };

	if (r->is_bad || r->left < n) {
		r->is_bad = true;
		return ret;
	}
	ret = (struct tpm_bytes){ r->at, n };
	r->at += n;
	r->left -= n;
	return ret;
}

static inline uint64_t
tpm_read_uint(struct tpm_reader *r, size_t n)
{
	struct tpm_bytes b = tpm_read_bytes(r, n);
	uint64_t value = 0;

	for (size_t i = 0; i < b.len; i++)
		value = value << 8 | b.at[i];
	return value;
}

static inline uint8_t
tpm_read_u8(struct tpm_reader *r)
{
	return (uint8_t)tpm_read_uint(r, 1);
}

static inline uint16_t
tpm_read_u16(struct tpm_reader *r)
{
	return (uint16_t)tpm_read_uint(r, 2);
}

static inline uint32_t
tpm_read_u32(struct tpm_reader *r)
{
	return (uint32_t)tpm_read_uint(r, 4);
}

// TPM2B: a length of 16 bits, at most max, and so many bytes.
static inline struct tpm_bytes
tpm_read_2b(struct tpm_reader *r, size_t max)
{
	size_t n = tpm_read_u16(r);

	if (n > max)
		r->is_bad = true;
	return tpm_read_bytes(r, n);
}

// A value that must be this one.
static inline void
tpm_read_exactly(struct tpm_reader *r, size_t n, uint64_t value)
{
	if (tpm_read_uint(r, n) != value)
		r->is_bad = true;
}

// Everything was there, and nothing is left.
static inline bool
tpm_read_end(const struct tpm_reader *r)
{
	return !r->is_bad && r->left == 0;
}

#endif
