// A daemon says that it can serve, and what it knows.  The daemon may be
// hostile: what it sends is checked before it reaches our standard output.
#include <sodium.h>
#include <string.h>

#include "common/log.h"
#include "ctl/suite.h"
#include "proxyd/client.h"

static int
take_address(const char *text, char ret[static ADDRESS_TEXT_MAX])
{
	struct address a;

	if (text == NULL || address_parse(text, &a) < 0)
		return -EBADMSG;
	return address_format(&a.sa, a.len, ret);
}

// An address, or unix:/path without a character that could end the line.
static int
take_api(const char *text, char ret[static SUITE_API_MAX])
{
	size_t n = text == NULL ? 0 : strlen(text);
	char address[ADDRESS_TEXT_MAX];

	if (n >= SUITE_API_MAX || n == 0)
		return -EBADMSG;
	if (strncmp(text, "unix:/", 6) != 0) {
		if (take_address(text, address) < 0)
			return -EBADMSG;
		text = address;
		n = strlen(text);
	}
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return -EBADMSG;
	memcpy(ret, text, n + 1);
	return 0;
}

static int
take_facts(struct suite *s, enum ipc_role role, const Ipc__Ready *ready)
{
	int r;

	switch (role) {
	case ROLE_CRYPTOD:
		if (!ready->has_endpoint_id ||
		    ready->endpoint_id.len != ENDPOINT_ID_LEN)
			return -EBADMSG;
		(void)sodium_bin2hex(s->endpoint_id, sizeof(s->endpoint_id),
		    ready->endpoint_id.data, ready->endpoint_id.len);
		return 0;
	case ROLE_GOSSIPD:
		return take_address(ready->mesh_address, s->mesh);
	case ROLE_PROXYD:
		r = take_api(ready->api_address, s->api);
		return r < 0
		    ? r
		    : take_address(ready->management_address, s->management);
	default:
		return 0;
	}
}

int
handle_ready(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct suite *s = ipc_peer_daemon(peer);
	struct child *child = suite_child_of(s, ipc_peer_role(peer));
	const Ipc__Ready *ready = (const Ipc__Ready *)msg;
	int r;

	(void)frame;
	if (child->is_ready)
		return -EPROTO;
	r = take_facts(s, ipc_peer_role(peer), ready);
	if (r < 0)
		return r;
	if (ready->has_image) {
		if (ready->image.len != IMAGE_HASH_LEN ||
		    (ready->protection & ~(uint32_t)MEASURE_ALL) != 0)
			return -EBADMSG;
		memcpy(child->image, ready->image.data, IMAGE_HASH_LEN);
		child->protection = ready->protection;
	}
	child->is_ready = true;
	LOG(LOG_DEBUG, "daemon-ready", F("daemon", child->daemon->name));
	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		if (!s->children[d].is_ready)
			return 0;
	return suite_ready(s);
}

// Plain characters, as our own signer has them.
static int
take_text(const char *text, char *ret, size_t size)
{
	size_t n = strlen(text);

	if (n >= size)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			return -EBADMSG;
	memcpy(ret, text, n + 1);
	return 0;
}

int
suite_tell_attester(struct suite *s)
{
	struct ipc_peer *proxyd = s->children[PROXYD].peer;

	if (s->attester[0] == '\0')
		return 0;
	return proxyd == NULL
	    ? -EPIPE
	    : proxyd_attester_state_send(proxyd, s->attester,
		  s->attester_problem[0] == '\0' ? NULL : s->attester_problem);
}

int
handle_attester_state(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__AttesterState *in = (const Ipc__AttesterState *)msg;
	struct suite *s = ipc_peer_daemon(peer);
	int r;

	(void)frame;
	r = take_text(in->name, s->attester, sizeof(s->attester));
	if (r == 0)
		r = take_text(in->problem == NULL ? "" : in->problem,
		    s->attester_problem, sizeof(s->attester_problem));
	if (r < 0)
		return r;
	// Before that it is told with the rest.
	if (s->is_ready && !s->is_stopping && (r = suite_tell_attester(s)) < 0)
		LOG(LOG_WARNING, "attester-not-told", F("error", log_error(r)));
	return 0;
}
