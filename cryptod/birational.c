// From a point of edwards25519 to its u on curve25519, in the field modulo
// p = 2^255 - 19.  It sees public keys only.  A number is five limbs of 51
// bits, any of which may be up to 2^53 in what is multiplied.
#include "cryptod/birational.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

#ifdef HAS_BIRATIONAL

enum { LIMBS = 5, LIMB_BITS = 51 };

static const uint64_t limb_mask = (UINT64_C(1) << LIMB_BITS) - 1;

typedef unsigned __int128 u128;

struct field {
	uint64_t limb[LIMBS];
};

static uint64_t
get_word(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

static void
put_word(uint8_t *at, uint64_t word)
{
	word = htole64(word);
	memcpy(at, &word, sizeof(word));
}

// Bit 255 is not part of it.
static struct field
field_read(const uint8_t bytes[static CURVE_POINT_LEN])
{
	return (struct field){ { get_word(bytes) & limb_mask,
	    (get_word(bytes + 6) >> 3) & limb_mask,
	    (get_word(bytes + 12) >> 6) & limb_mask,
	    (get_word(bytes + 19) >> 1) & limb_mask,
	    (get_word(bytes + 24) >> 12) & limb_mask } };
}

// Returns what is above 2^255, in units of it.
static uint64_t
field_carry(struct field *f)
{
	uint64_t carry = 0;

	for (size_t i = 0; i < LIMBS; i++) {
		f->limb[i] += carry;
		carry = f->limb[i] >> LIMB_BITS;
		f->limb[i] &= limb_mask;
	}
	return carry;
}

// As the one number that is below p.
static void
field_write(struct field f, uint8_t ret[static CURVE_POINT_LEN])
{
	uint64_t over;

	for (size_t i = 0; i < 2; i++) {
		over = field_carry(&f);
		f.limb[0] += 19 * over;
	}
	over = 19;
	for (size_t i = 0; i < LIMBS; i++)
		over = (f.limb[i] + over) >> LIMB_BITS;
	f.limb[0] += 19 * over; // and 2^255 less: p less, if it was p or more
	(void)field_carry(&f);
	put_word(ret, f.limb[0] | f.limb[1] << 51);
	put_word(ret + 8, f.limb[1] >> 13 | f.limb[2] << 38);
	put_word(ret + 16, f.limb[2] >> 26 | f.limb[3] << 25);
	put_word(ret + 24, f.limb[3] >> 39 | f.limb[4] << 12);
}

static struct field
field_multiply(const struct field *x, const struct field *y)
{
	const uint64_t *a = x->limb, *b = y->limb;
	// What is above 2^255 counts 19 times.
	uint64_t b1 = 19 * b[1], b2 = 19 * b[2], b3 = 19 * b[3], b4 = 19 * b[4];
	u128 t[LIMBS] = {
		(u128)a[0] * b[0] + (u128)a[1] * b4 + (u128)a[2] * b3 +
		    (u128)a[3] * b2 + (u128)a[4] * b1,
		(u128)a[0] * b[1] + (u128)a[1] * b[0] + (u128)a[2] * b4 +
		    (u128)a[3] * b3 + (u128)a[4] * b2,
		(u128)a[0] * b[2] + (u128)a[1] * b[1] + (u128)a[2] * b[0] +
		    (u128)a[3] * b4 + (u128)a[4] * b3,
		(u128)a[0] * b[3] + (u128)a[1] * b[2] + (u128)a[2] * b[1] +
		    (u128)a[3] * b[0] + (u128)a[4] * b4,
		(u128)a[0] * b[4] + (u128)a[1] * b[3] + (u128)a[2] * b[2] +
		    (u128)a[3] * b[1] + (u128)a[4] * b[0],
	};
	struct field ret;

	for (size_t i = 0; i + 1 < LIMBS; i++) {
		t[i + 1] += t[i] >> LIMB_BITS;
		ret.limb[i] = (uint64_t)t[i] & limb_mask;
	}
	ret.limb[4] = (uint64_t)t[4] & limb_mask;
	ret.limb[0] += 19 * (uint64_t)(t[4] >> LIMB_BITS);
	ret.limb[1] += ret.limb[0] >> LIMB_BITS;
	ret.limb[0] &= limb_mask;
	return ret;
}

// x^(2^n) * y
static struct field
square_times(const struct field *x, unsigned n, const struct field *y)
{
	struct field t = *x;

	for (unsigned i = 0; i < n; i++)
		t = field_multiply(&t, &t);
	return field_multiply(&t, y);
}

// x^(p - 2): p - 2 is (2^250 - 1) * 2^5 + 11.  ones_n is x^(2^n - 1).
static struct field
field_invert(const struct field *x)
{
	struct field ones_2 = square_times(x, 1, x);
	struct field ones_4 = square_times(&ones_2, 2, &ones_2);
	struct field ones_5 = square_times(&ones_4, 1, x);
	struct field ones_10 = square_times(&ones_5, 5, &ones_5);
	struct field ones_20 = square_times(&ones_10, 10, &ones_10);
	struct field ones_40 = square_times(&ones_20, 20, &ones_20);
	struct field ones_50 = square_times(&ones_40, 10, &ones_10);
	struct field ones_100 = square_times(&ones_50, 50, &ones_50);
	struct field ones_200 = square_times(&ones_100, 100, &ones_100);
	struct field ones_250 = square_times(&ones_200, 50, &ones_50);
	struct field x11 = square_times(x, 3, &ones_2);

	return square_times(&ones_250, 5, &x11);
}

void
birational_u(const uint8_t point[static CURVE_POINT_LEN],
    uint8_t ret[static CURVE_POINT_LEN])
{
	// 2 p, so that no limb of a difference is below zero.
	static const struct field twice_p = { { 0xfffffffffffda,
	    0xffffffffffffe, 0xffffffffffffe, 0xffffffffffffe,
	    0xffffffffffffe } };
	struct field y = field_read(point), above = y, below = twice_p;

	above.limb[0] += 1;
	below.limb[0] += 1;
	for (size_t i = 0; i < LIMBS; i++)
		below.limb[i] -= y.limb[i];
	below = field_invert(&below);
	field_write(field_multiply(&above, &below), ret);
}

#endif
