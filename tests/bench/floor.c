// meshllm-floor: what the work that cannot be avoided costs on this machine,
// measured in the same run as everything else: four X25519 operations for a
// sealed request, and base64 both ways for a large body.
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxyd/b64.h"
#include "tests/tools/tool.h"

#define ROUNDS 500
#define BODY_BYTES ((size_t)64 * 1024 * 1024)
#define PIECE_IN ((size_t)12 * 1024)
#define PIECE_OUT (PIECE_IN / 3 * 4)

// Of this process: what others do meanwhile is no part of the floor.
static int64_t
cpu_now_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == -1)
		tool_die("clock_gettime");
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static double
four_x25519_us(void)
{
	unsigned char secret[crypto_scalarmult_SCALARBYTES];
	unsigned char point[crypto_scalarmult_BYTES];
	int64_t start;

	randombytes_buf(secret, sizeof(secret));
	if (crypto_scalarmult_base(point, secret) != 0)
		tool_die("crypto_scalarmult_base");
	start = cpu_now_ns();
	// A key pair on either side and a shared key on either side.
	for (int i = 0; i < ROUNDS; i++)
		if (crypto_scalarmult_base(point, secret) != 0 ||
		    crypto_scalarmult(point, secret, point) != 0 ||
		    crypto_scalarmult_base(point, secret) != 0 ||
		    crypto_scalarmult(point, secret, point) != 0)
			tool_die("crypto_scalarmult");
	return (double)(cpu_now_ns() - start) / 1000.0 / ROUNDS;
}

// Encode and decode 64 MiB in pieces, as the daemons do.
static double
base64_ms(void)
{
	static unsigned char plain[PIECE_IN];
	static unsigned char text[PIECE_OUT];
	static unsigned char back[PIECE_IN];
	int64_t start;
	size_t n;

	randombytes_buf(plain, sizeof(plain));
	start = cpu_now_ns();
	for (size_t done = 0; done < BODY_BYTES; done += PIECE_IN) {
		b64_encode(text, plain, PIECE_IN);
		if (b64_decode(back, text, PIECE_OUT, &n) < 0)
			tool_die("b64_decode");
	}
	return (double)(cpu_now_ns() - start) / 1e6;
}

int
main(void)
{
	double us;
	double ms;

	if (sodium_init() == -1)
		tool_die("sodium_init");
	us = four_x25519_us();
	ms = base64_ms();
	printf("{\"four_x25519_us\":%.1f,\"requests_per_s_per_core\":%.1f,"
	       "\"base64_64MiB_ms\":%.1f,\"upload_MB_per_s\":%.1f}\n",
	    us, 1e6 / us, ms, (double)BODY_BYTES / 1e6 / (ms / 1000.0));
	return EXIT_SUCCESS;
}
