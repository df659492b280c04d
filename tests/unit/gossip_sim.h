// Many cores over a virtual network with delays, lost connections,
// partitions, restarts and liars.  Time, order and every choice come from a
// seed: the same seed gives the same run.
#ifndef TESTS_UNIT_GOSSIP_SIM_H
#define TESTS_UNIT_GOSSIP_SIM_H

#include "tests/unit/gossip_support.h"

enum {
	NODES = 30,
	EVENTS_MAX = 1 << 16,
	DETECT_MS = 15000, // until a lost connection is noticed
	ATTACK_MS = 10000,
	FAKES = 40,
	FAKES_MAX = 400,
};

enum kind {
	TICK,
	ATTACK,
	DIALLED,
	DIAL_FAILED,
	FRAME,
	ANSWER,
	FAILED,
	PROBED,
	DOWN
};

struct event {
	uint64_t at, order;
	enum kind kind;
	uint8_t frame_kind;
	int to, about;	// who gets it, which peer it is of
	uint32_t epoch; // of the connection
	uint8_t *bytes; // owned
	size_t len;
};

struct node {
	struct test_node keys;
	struct gossip *g; // NULL: switched off
	uint32_t boot;
	int role; // NodeRole
	char model[24];
	int join;
	bool liar;
};

struct sim {
	struct node nodes[NODES];
	int n;
	uint32_t live[NODES][NODES]; // epoch of the connection, 0: none
	uint32_t epochs;
	bool split, noise, attacks;
	struct event heap[EVENTS_MAX];
	size_t n_events;
	uint64_t now, order, rng, digest;
	struct test_node evil; // whose key liars claim for others
};

extern struct sim sim;
extern struct test_node fakes[FAKES_MAX]; // that only liars tell of

void sim_begin(int n, int liars, uint64_t seed);
void sim_finish(void);
void sim_run(uint64_t seconds);
void sim_start(int i);
void sim_stop(int i, bool politely);
void sim_drop(int a, int b);
uint32_t sim_roll(uint32_t n);
void sim_tell_self(int i);
int sim_disagreements(void);
void sim_until_all_agree(uint64_t seconds);

#endif
