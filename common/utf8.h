// UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above U+10FFFF.
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
