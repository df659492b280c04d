// From a point of edwards25519 to its u on curve25519 (RFC 7748, 4.1).
#ifndef CRYPTOD_BIRATIONAL_H
#define CRYPTOD_BIRATIONAL_H

#include <stdint.h>

#ifdef __SIZEOF_INT128__
#define HAS_BIRATIONAL 1
#endif

enum { CURVE_POINT_LEN = 32 };

// u = (1 + y) / (1 - y); y as a point is encoded, of which the sign of x is
// ignored.  Gives 0 for y = 1, which has no u.
void birational_u(const uint8_t point[static CURVE_POINT_LEN],
    uint8_t ret[static CURVE_POINT_LEN]);

#endif
