// UTF-8 (RFC 3629) for the JSON readers and writers: no overlong form, no
// surrogate, nothing above U+10FFFF.
#ifndef PROXYD_UTF8_H
#define PROXYD_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// What has to follow a first byte from 0x80 on.
struct utf8_lead {
	uint8_t left;	  // bytes; 0: no first byte
	uint8_t min, max; // of the next one; later ones are 0x80-0xbf
};

static inline struct utf8_lead
utf8_lead(uint8_t c)
{
	if (c >= 0xc2 && c <= 0xdf)
		return (struct utf8_lead){ 1, 0x80, 0xbf };
	if (c == 0xe0)
		return (struct utf8_lead){ 2, 0xa0, 0xbf };
	if (c == 0xed)
		return (struct utf8_lead){ 2, 0x80, 0x9f };
	if (c >= 0xe1 && c <= 0xef)
		return (struct utf8_lead){ 2, 0x80, 0xbf };
	if (c == 0xf0)
		return (struct utf8_lead){ 3, 0x90, 0xbf };
	if (c >= 0xf1 && c <= 0xf3)
		return (struct utf8_lead){ 3, 0x80, 0xbf };
	if (c == 0xf4)
		return (struct utf8_lead){ 3, 0x80, 0x8f };
	return (struct utf8_lead){ 0, 0, 0 };
}

// Bytes of the character at the front (len > 0), 0 when it is not valid.
static inline size_t
utf8_char_len(const uint8_t *at, size_t len)
{
	struct utf8_lead lead;
	size_t n;

	if (at[0] < 0x80)
		return 1;
	lead = utf8_lead(at[0]);
	n = (size_t)lead.left + 1;
	if (lead.left == 0 || n > len || at[1] < lead.min || at[1] > lead.max)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

// A vector of gcc and clang, on any machine.
typedef int8_t json_v16 __attribute__((vector_size(16)));

// How many bytes at the front stand for themselves in a JSON string: ASCII
// but control bytes, '"' and '\'.  Many at a time, for long prompts.
static inline size_t
json_plain_run(const uint8_t *at, size_t len)
{
	json_v16 v[4], plain;
	uint64_t halves[2];
	size_t n = 0;

	for (; len - n >= sizeof(v); n += sizeof(v)) {
		memcpy(v, at + n, sizeof(v));
		plain = ~(json_v16){ 0 };
		// Signed: what is above 0x7f is below zero.
		for (size_t i = 0; i < 4; i++)
			plain &=
			    (v[i] >= 0x20) & (v[i] != '"') & (v[i] != '\\');
		memcpy(halves, &plain, sizeof(halves));
		if ((halves[0] & halves[1]) != UINT64_MAX)
			break;
	}
	while (n < len && at[n] >= 0x20 && at[n] < 0x80 && at[n] != '"' &&
	    at[n] != '\\')
		n++;
	return n;
}

#endif
