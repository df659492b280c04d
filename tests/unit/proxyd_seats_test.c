// Who holds connections, and whose idle one makes room.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxyd/seats.h"

static struct seats seats;

static int
begin(void **state)
{
	(void)state;
	seats_init(&seats);
	return 0;
}

static struct party_id
party(unsigned n)
{
	struct party_id id = { .kind = PARTY_ADDRESS };

	memcpy(id.bytes, &n, sizeof(n));
	return id;
}

static void
take(struct seat *seat, size_t n, unsigned who)
{
	struct party_id id = party(who);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(seat_take(&seats, &seat[i], &id), 0);
}

static void
leave(struct seat *seat, size_t n)
{
	for (size_t i = 0; i < n; i++)
		seat_leave(&seats, &seat[i]);
}

static unsigned
count(unsigned who)
{
	struct party_id id = party(who);
	const struct holder *h = seats_find(&seats, &id);

	return h == NULL ? 0 : h->n;
}

static void
the_longest_idle_one_of_who_holds_most_makes_room(void **state)
{
	struct seat modest[2] = { 0 }, greedy[3] = { 0 };

	(void)state;
	assert_null(seats_longest_idle(&seats));
	take(modest, 2, 1);
	assert_ptr_equal(seats_longest_idle(&seats), &modest[0]);
	take(greedy, 3, 2);
	assert_ptr_equal(seats_longest_idle(&seats), &greedy[0]);
	// Since when counts, not in which order they came.
	seat_busy(&seats, &greedy[0]);
	seat_busy(&seats, &greedy[0]);
	assert_ptr_equal(seats_longest_idle(&seats), &greedy[1]);
	seat_idle(&seats, &greedy[0]);
	seat_idle(&seats, &greedy[1]);
	assert_ptr_equal(seats_longest_idle(&seats), &greedy[1]);
	leave(greedy, 2);
	assert_int_equal(count(2), 1);
	assert_ptr_equal(seats_longest_idle(&seats), &modest[0]);
	leave(modest, 2);
	assert_int_equal(count(1), 0);
	assert_ptr_equal(seats_longest_idle(&seats), &greedy[2]);
	leave(&greedy[2], 1);
	leave(&greedy[2], 1);
	assert_null(seats_longest_idle(&seats));
}

static void
one_that_is_busy_never_does(void **state)
{
	struct seat modest[1] = { 0 }, greedy[3] = { 0 };

	(void)state;
	take(modest, 1, 1);
	take(greedy, 3, 2);
	for (size_t i = 0; i < 3; i++)
		seat_busy(&seats, &greedy[i]);
	assert_int_equal(count(2), 3);
	assert_ptr_equal(seats_longest_idle(&seats), &modest[0]);
	seat_busy(&seats, &modest[0]);
	assert_null(seats_longest_idle(&seats));
	seat_idle(&seats, &greedy[1]);
	assert_ptr_equal(seats_longest_idle(&seats), &greedy[1]);
	leave(greedy, 3);
	assert_null(seats_longest_idle(&seats));
	leave(modest, 1);
}

// What is right, by looking at all of them.
static unsigned
most_with_idle(const struct seat *all, const unsigned *who)
{
	unsigned n[64] = { 0 }, most = 0;

	for (size_t i = 0; i < CONNS_MAX; i++)
		n[who[i]] += all[i].holder != NULL;
	for (size_t i = 0; i < CONNS_MAX; i++)
		if (all[i].is_idle && n[who[i]] > most)
			most = n[who[i]];
	return most;
}

static void
whatever_happens_the_choice_is_right(void **state)
{
	static struct seat all[CONNS_MAX];
	static unsigned who[CONNS_MAX];
	const struct seat *seat;

	(void)state;
	srandom(1);
	for (size_t step = 0; step < 40000; step++) {
		size_t i = (size_t)random() % CONNS_MAX;

		if (all[i].holder == NULL) {
			// Some have many.
			who[i] = (unsigned)(random() & random() & 63);
			take(&all[i], 1, who[i]);
		} else if (random() % 4 == 0) {
			leave(&all[i], 1);
		} else if (all[i].is_idle) {
			seat_busy(&seats, &all[i]);
		} else {
			seat_idle(&seats, &all[i]);
		}
		if (step % 50 != 0)
			continue;
		seat = seats_longest_idle(&seats);
		assert_int_equal(seat == NULL ? 0 : seat->holder->n,
		    most_with_idle(all, who));
	}
	leave(all, CONNS_MAX);
	assert_null(seats_longest_idle(&seats));
}

static void
all_may_be_of_one_or_of_as_many(void **state)
{
	static struct seat all[CONNS_MAX];

	(void)state;
	take(all, CONNS_MAX, 7);
	assert_int_equal(count(7), CONNS_MAX);
	assert_ptr_equal(seats_longest_idle(&seats), &all[0]);
	leave(all, CONNS_MAX);
	for (unsigned i = 0; i < CONNS_MAX; i++)
		take(&all[i], 1, i);
	for (unsigned i = 0; i < CONNS_MAX; i++)
		assert_int_equal(count(i), 1);
	leave(all, CONNS_MAX);
}

// ---- who it is

static struct party_id
holder(const char *text)
{
	struct address a;
	struct party_id id;

	assert_int_equal(address_parse(text, &a), 0);
	party_id_of_holder(&id, -1, &a);
	return id;
}

static bool
is_same(const char *a, const char *b)
{
	struct party_id x = holder(a), y = holder(b);

	return x.kind == y.kind && memcmp(x.bytes, y.bytes, PARTY_ID_LEN) == 0;
}

static void
an_address_is_worth_what_cannot_be_chosen(void **state)
{
	(void)state;
	assert_true(is_same("192.0.2.1:1", "192.0.2.1:2"));
	assert_true(is_same("192.0.2.1:1", "[::ffff:192.0.2.1]:2"));
	assert_false(is_same("192.0.2.1:1", "192.0.2.2:1"));
	assert_false(is_same("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1"));
	assert_true(is_same("[2001:db8:0:1::1]:1", "[2001:db8:0:1:ff::2]:1"));
	assert_false(is_same("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
	// No network of IPv6 is taken for an address of IPv4.
	assert_false(is_same("32.1.13.184:1", "[2001:db8::1]:1"));
	assert_int_equal(holder("192.0.2.1:1").kind, PARTY_ADDRESS);
	assert_int_equal(holder("[2001:db8::1]:1").kind, PARTY_ADDRESS);
	assert_int_equal(holder("127.0.0.1:1").kind, PARTY_UNKNOWN);
	assert_true(is_same("127.0.0.1:1", "127.9.9.9:1"));
	assert_true(is_same("127.0.0.1:1", "[::1]:1"));
	assert_true(is_same("127.0.0.1:1", "[::ffff:127.0.0.2]:1"));
}

static void
a_user_is_who_the_kernel_says(void **state)
{
	struct address nowhere = { .sa.sa_family = AF_UNIX };
	struct party_id id;
	uint32_t uid = getuid(), got;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	party_id_of_holder(&id, fds[0], &nowhere);
	assert_int_equal(id.kind, PARTY_USER);
	memcpy(&got, id.bytes, sizeof(got));
	assert_int_equal(got, uid);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
names_are_for_people(void **state)
{
	static const char *const names[][2] = {
		{ "192.0.2.1:1", "192.0.2.1" },
		{ "[::ffff:192.0.2.1]:1", "192.0.2.1" },
		{ "[2001:db8:0:1::1]:1", "2001:db8:0:1::/64" },
		{ "127.0.0.2:1", "loopback" },
		{ "[::1]:1", "loopback" },
	};
	struct party_id user = { .kind = PARTY_USER,
		.bytes = { 0xff, 0xff, 0xff, 0xff } };
	char text[PARTY_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct party_id id = holder(names[i][0]);

		party_format(&id, text);
		assert_string_equal(text, names[i][1]);
	}
	party_format(&user, text);
	assert_string_equal(text, "user:4294967295");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    the_longest_idle_one_of_who_holds_most_makes_room, begin),
		cmocka_unit_test_setup(one_that_is_busy_never_does, begin),
		cmocka_unit_test_setup(
		    whatever_happens_the_choice_is_right, begin),
		cmocka_unit_test_setup(all_may_be_of_one_or_of_as_many, begin),
		cmocka_unit_test(an_address_is_worth_what_cannot_be_chosen),
		cmocka_unit_test(a_user_is_who_the_kernel_says),
		cmocka_unit_test(names_are_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
