// Target: gate_check, access_find_key.  Whatever a head says, who passes has a
// name of ours and a key; a page passes only by its exact origin.
#include <stdlib.h>
#include <string.h>

#include "proxyd/gate.h"
#include "proxyd/route.h"
#include "tests/fuzz/fuzz.h"

#define PAGE "https://chat.example.com"

static void
check(int ok)
{
	if (!ok)
		abort();
}

static char page[] = PAGE, name[] = "gpu.lan";
static char *pages[] = { page }, *names[] = { name };
static const struct option_list origins = { 1, pages }, hosts = { 1, names };

static struct proxyd *
make(void)
{
	// The SHA-256 of "k".
	static const char keys[] =
	    "a sha256:8254c329a92850f6d539dd376f4816ee2764517da5e0235514af43316"
	    "4480d7a\n";
	struct proxyd *d = calloc(1, sizeof(*d));
	char error[256];

	check(d != NULL);
	d->access.origins = &origins;
	d->access.hosts = &hosts;
	check(access_take_keys(&d->access, keys, sizeof(keys) - 1, 0, error,
		  sizeof(error)) == 0);
	return d;
}

static void
check_passed(const struct proxyd *d, const struct listener *l,
    const struct http_request *r, const struct gate *gate, int result)
{
	const struct http_field *origin =
	    http_fields_find(&r->fields, "Origin");

	check(r->host.at == NULL
		? r->minor == 0
		: host_is_ours(r->host, &l->address, &d->access));
	if (gate->allow_origin != NULL)
		check(origin != NULL && slice_is(origin->value, PAGE));
	else
		check(!request_is_cross_origin(r));
	check(result == 0 ? gate->key == d->access.keys[0]
			  : gate->allow_origin != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct proxyd *d;
	struct listener l = { .door = DOOR_API };
	struct http_request r;
	struct http_refusal why;
	struct gate gate;
	size_t scanned = 0, len = 0;
	int result;

	if (d == NULL)
		d = make();
	check(address_parse("127.0.0.1:9337", &l.address) == 0);
	if (http_head_find(data, size, &scanned, &len) < 0 ||
	    http_request_parse(data, len, 0, &r, &why) < 0)
		return 0;
	result = gate_check(d, &l, &r, &gate);
	if (result >= 0)
		check_passed(d, &l, &r, &gate, result);
	else
		check(gate.failure.status >= 400 && gate.failure.code != NULL);
	return 0;
}
