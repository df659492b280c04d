// Notices that this process, or its machine, stood still for a while: what can
// be read then came at any time since.
#ifndef GOSSIPD_STALL_H
#define GOSSIPD_STALL_H

#include <stdint.h>

enum {
	STALL_MS = 2500,       // seldom is a turn of a busy loop so long
	STALL_DRAIN_MS = 1000, // until all that came meanwhile is read
};

struct stall {
	uint64_t seen_ms; // that it ran; 0: never
	uint64_t since_ms, until_ms;
};

// To be called about once a second, and with what is read; now_ms is of
// clock_boot_ms().  Returns when that came, at the earliest.
uint64_t stall_since(struct stall *, uint64_t now_ms);

#endif
