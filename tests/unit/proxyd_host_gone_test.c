// proxyd as a host when somebody is gone: the opener of a request, the node
// itself for a while, or the backend.
#include "tests/unit/proxyd_host_rig.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void
an_opener_that_leaves_stops_the_backend(void **state)
{
	struct host h;
	uint8_t key[REQUEST_KEY_LEN];
	char text[1024];
	int tunnel;

	(void)state;
	host_start(&h, NULL);
	for (int i = 0; i < 2; i++) {
		tunnel = rig_open_tunnel(&h.rig, h.peer.id);
		opener_write(tunnel, &h.rig.self,
		    post(text, sizeof(text), CHAT,
			i == 0 ? BODY(",\"stream\":true,\"demo_tokens\":9999,"
				      "\"demo_delay_ms\":20")
			       : BODY(",\"demo_first_ms\":20000")),
		    key);
		// The opener's FIN alone is no reason to stop.
		rig_run_ms(&h.rig, 300);
		assert_int_equal(backend_count(&h, "answers_now"), 1);
		(void)close(tunnel);
		RIG_UNTIL(&h.rig, backend_count(&h, "answers_now") == 0);
	}
	assert_int_equal(backend_count(&h, "aborted"), 2);
	host_stop(&h);
}

static void
what_its_opener_has_left_is_not_begun(void **state)
{
	struct host h;
	uint8_t key[REQUEST_KEY_LEN];
	char text[1024];
	int tunnel;

	(void)state;
	host_start(&h, NULL);
	tunnel = rig_open_tunnel(&h.rig, h.peer.id);
	opener_write(
	    tunnel, &h.rig.self, post(text, sizeof(text), CHAT, BODY("")), key);
	(void)close(tunnel);
	RIG_UNTIL(&h.rig, h.rig.n_opens == 1);
	rig_run_ms(&h.rig, 300);
	assert_int_equal(backend_count(&h, "last_body_bytes"), 0);
	host_stop(&h);
}

// As ask(), with all of the request in the tunnel when proxyd gets it.
static bool
ask_late(struct host *h, const char *plain, struct buf *ret)
{
	uint8_t key[REQUEST_KEY_LEN];
	int pair[2];
	bool is_whole;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	opener_write(pair[0], &h->rig.self, plain, key);
	rig_hand_tunnel(&h->rig, h->peer.id, pair[1]);
	is_whole = opener_read(&h->rig, pair[0], &h->rig.self, key, ret);
	(void)close(pair[0]);
	return is_whole;
}

// Stopped, asleep: what came before that is for another host by now.
static void
what_waited_while_the_node_was_held_up_is_not_begun(void **state)
{
	static const struct {
		unsigned late_ms;
		const char *alive;
		int status;
	} table[] = {
		{ 25000, "10", 503 },
		{ 25000, "", 503 },
		{ 25000, "3600", 503 },
		{ 3500, "2", 503 },
		{ 3500, "1", 503 },
		{ 3500, "10", 200 },
		{ 3500, "", 200 },
	};
	struct host h;
	struct buf plain;
	char text[1024];

	(void)state;
	host_start(&h, NULL);
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		(void)snprintf(text, sizeof(text),
		    "POST %s HTTP/1.1\r\n%s%s\r\n"
		    "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n%s",
		    CHAT,
		    table[i].alive[0] == '\0' ? "Accept: */*"
					      : "X-Meshllm-Alive: ",
		    table[i].alive, strlen(BODY("")), BODY(""));
		h.rig.late_ms = table[i].late_ms;
		assert_true(ask_late(&h, text, &plain));
		assert_int_equal(status_of(&plain), table[i].status);
		buf_release(&plain);
		if (table[i].status != 200)
			assert_int_equal(
			    backend_count(&h, "last_body_bytes"), 0);
	}
	host_stop(&h);
}

static void
a_backend_that_is_cut_off_leaves_no_end_mark(void **state)
{
	struct host h;
	struct buf plain;
	char text[1024];

	(void)state;
	host_start(&h, NULL);
	assert_false(ask(&h,
	    post(text, sizeof(text), CHAT,
		BODY(",\"stream\":true,\"fault\":\"cut\",\"fault_after\":1,"
		     "\"demo_delay_ms\":50,\"demo_tokens\":9")),
	    &plain));
	assert_int_equal(status_of(&plain), 200);
	buf_release(&plain);
	// Before its first byte it is an error that can be read.
	assert_true(ask(&h,
	    post(text, sizeof(text), CHAT,
		BODY(",\"fault\":\"close_before_head\"")),
	    &plain));
	assert_int_equal(status_of(&plain), 502);
	buf_release(&plain);
	host_stop(&h);
}

static void
the_node_announces_what_its_backend_has(void **state)
{
	struct host h;

	(void)state;
	host_start(&h, NULL);
	assert_true(h.rig.self_host);
	assert_string_equal(h.rig.self_model, "near");
	backend_stop(&h);
	// The probe finds out by itself.
	for (unsigned i = 0; i < 20 && h.rig.n_self_models != 0; i++)
		rig_run_ms(&h.rig, 1000);
	assert_int_equal(h.rig.n_self_models, 0);
	rig_stop(&h.rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_opener_that_leaves_stops_the_backend),
		cmocka_unit_test(what_its_opener_has_left_is_not_begun),
		cmocka_unit_test(
		    what_waited_while_the_node_was_held_up_is_not_begun),
		cmocka_unit_test(a_backend_that_is_cut_off_leaves_no_end_mark),
		cmocka_unit_test(the_node_announces_what_its_backend_has),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
