// The liar has its own keys.  The honest host's keys are made here too, since
// somebody has to sign its genuine announcement; the liar opens nothing with
// them, they only tell the log whom a prompt was sealed to.
#include "tests/takeover/liar.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/announcement.h"
#include "common/hex.h"
#include "common/process.h"
#include "tests/takeover/attack.h"

enum {
	LIES = 10,
	ROUNDS = 2,
	LIE_MS = 300,
	READ_MS = 2000,
	ENVELOPE_MAX = 64 * 1024,
	VALID_MS = 3600 * 1000,
	HOST_SEED = 7,
};

struct node {
	uint8_t id[crypto_sign_PUBLICKEYBYTES];
	uint8_t identity[crypto_sign_SECRETKEYBYTES];
	uint8_t key[crypto_box_PUBLICKEYBYTES];
	uint8_t secret[crypto_box_SECRETKEYBYTES];
};

struct liar {
	int fd;
	struct node host, liar;
	uint64_t sequence;
	uint8_t genuine[ANNOUNCEMENT_LEN];
};

// The test knows the host's id: its seed is HOST_SEED, 32 times.
static struct node
make_node(const uint8_t *seed)
{
	struct node n;

	if (seed != NULL)
		(void)crypto_sign_seed_keypair(n.id, n.identity, seed);
	else
		(void)crypto_sign_keypair(n.id, n.identity);
	(void)crypto_box_keypair(n.key, n.secret);
	return n;
}

static void
announce(const struct node *n, uint64_t sequence, uint64_t not_after_ms,
    uint8_t ret[static ANNOUNCEMENT_LEN])
{
	struct announcement a = { .sequence = sequence,
		.not_before_ms = clock_unix_ms() - 1000,
		.not_after_ms = not_after_ms };
	uint8_t message[ANNOUNCEMENT_SIGNED_LEN];
	uint8_t signature[SIGNATURE_LEN];

	if (a.not_after_ms < a.not_before_ms)
		a.not_before_ms = not_after_ms - 1000;
	memcpy(a.inference_key, n->key, sizeof(a.inference_key));
	announcement_to_sign(&a, n->id, message);
	(void)crypto_sign_detached(
	    signature, NULL, message, sizeof(message), n->identity);
	announcement_encode(&a, signature, ret);
}

static ProtobufCBinaryData
bytes(const uint8_t *data, size_t len)
{
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
}

static void
send_notice(int fd, uint16_t type, const ProtobufCMessage *msg)
{
	struct raw f;

	attack_pack(&f, type, msg);
	f.header.request_id = 0;
	(void)attack_send(fd, &f, NULL, 0);
}

static void
tell(struct liar *l, const uint8_t *id, const char *name,
    const uint8_t *announcement, const uint8_t *unsigned_key)
{
	Ipc__PeerUpdate update = IPC__PEER_UPDATE__INIT;
	Ipc__PeerModels models = IPC__PEER_MODELS__INIT;
	Ipc__PeerModels__Model model = IPC__PEER_MODELS__MODEL__INIT;
	Ipc__PeerModels__Model *list[] = { &model };

	update.endpoint_id = models.endpoint_id = bytes(id, ENDPOINT_ID_LEN);
	update.role = IPC__PEER_ROLE__PEER_HOST;
	update.dialect = IPC__DIALECT__DIALECT_MESHLLM;
	update.connected = update.direct = 1;
	update.has_announcement = announcement != NULL;
	update.announcement = bytes(announcement, ANNOUNCEMENT_LEN);
	update.has_unsigned_key = unsigned_key != NULL;
	update.unsigned_key = bytes(unsigned_key, INFERENCE_KEY_LEN);
	update.n_models = 1;
	model.name = (char *)(uintptr_t)name;
	models.models = list;
	models.n_models = 1;
	models.final = 1;
	send_notice(l->fd, IPC__TYPE__IPC_PEER_UPDATE, &update.base);
	send_notice(l->fd, IPC__TYPE__IPC_PEER_MODELS, &models.base);
}

static void
forget(struct liar *l, const uint8_t *id)
{
	Ipc__PeerGone gone = IPC__PEER_GONE__INIT;

	gone.endpoint_id = bytes(id, ENDPOINT_ID_LEN);
	send_notice(l->fd, IPC__TYPE__IPC_PEER_GONE, &gone.base);
}

static void
lie(struct liar *l, unsigned n)
{
	const uint8_t *id = l->host.id;
	uint8_t forged[ANNOUNCEMENT_LEN];
	struct node mixed = l->host;
	uint64_t later = clock_unix_ms() + VALID_MS;

	memcpy(forged, l->genuine, sizeof(forged));
	switch (n) {
	case 0: // no signature
		tell(l, id, "far", NULL, l->liar.key);
		break;
	case 1: // the liar's key under the host's signature
		memcpy(forged + 1, l->liar.key, INFERENCE_KEY_LEN);
		tell(l, id, "far", forged, l->liar.key);
		break;
	case 2: // the liar's own announcement
		announce(&l->liar, ++l->sequence, later, forged);
		tell(l, id, "far", forged, NULL);
		break;
	case 3: // the liar signs in the host's name
		memcpy(
		    mixed.identity, l->liar.identity, sizeof(mixed.identity));
		memcpy(mixed.key, l->liar.key, sizeof(mixed.key));
		announce(&mixed, ++l->sequence, later, forged);
		tell(l, id, "far", forged, NULL);
		break;
	case 4: // forget it, then lie
		forget(l, id);
		tell(l, id, "far", NULL, l->liar.key);
		break;
	case 5: // a key to which everybody knows the secret
		memset(forged + 1, 0, INFERENCE_KEY_LEN);
		tell(l, id, "far", forged, NULL);
		break;
	case 6: // no signature but zeros
		memcpy(forged + 1, l->liar.key, INFERENCE_KEY_LEN);
		memset(forged + ANNOUNCEMENT_UNSIGNED_LEN, 0, SIGNATURE_LEN);
		tell(l, id, "far", forged, NULL);
		break;
	case 7: // expired
		announce(&l->host, ++l->sequence, later - 2 * VALID_MS, forged);
		tell(l, id, "far", forged, l->liar.key);
		break;
	case 8: // the genuine one, with another key beside it
		tell(l, id, "far", l->genuine, l->liar.key);
		break;
	default: // the truth
		announce(&l->host, ++l->sequence, later, l->genuine);
		tell(l, id, "far", l->genuine, NULL);
	}
}

// ---- what comes of it

static size_t
read_all(int fd, uint8_t *ret, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n < size && poll(&p, 1, READ_MS) == 1) {
		ssize_t k = recv(fd, ret + n, size - n, 0);

		if (k <= 0)
			break;
		n += (size_t)k;
	}
	return n;
}

// The base64 text of a member of the envelope; 0: not there.
static size_t
member(const char *json, const char *name, uint8_t *ret, size_t size)
{
	const char *at = strstr(json, name), *end;
	size_t n = 0;

	if (at == NULL || (end = strchr(at + strlen(name), '"')) == NULL)
		return 0;
	at += strlen(name);
	if (sodium_base642bin(ret, size, at, (size_t)(end - at), NULL, &n, NULL,
		sodium_base64_VARIANT_ORIGINAL) != 0)
		return 0;
	return n;
}

static bool
opens(const struct node *n, const uint8_t *key, const uint8_t *box, size_t len)
{
	static uint8_t plain[ENVELOPE_MAX];

	return len > 40 &&
	    crypto_box_open_easy(
		plain, box + 24, len - 24, box, key, n->secret) == 0;
}

static void
look_at(struct liar *l, const uint8_t *id, int fd)
{
	static uint8_t envelope[ENVELOPE_MAX], box[ENVELOPE_MAX];
	uint8_t key[crypto_box_PUBLICKEYBYTES] = { 0 };
	size_t n = read_all(fd, envelope, sizeof(envelope) - 1), len;
	const char *json = (const char *)envelope + 1, *by = "nobody";

	envelope[n] = '\0';
	if (n == 0)
		return; // given up before it was sealed
	(void)member(json, "\"ephemeral_public_key\":\"", key, sizeof(key));
	len = member(json, "\"ciphertext\":\"", box, sizeof(box));
	if (envelope[0] != 0xe1)
		by = "everybody";
	else if (opens(&l->liar, key, box, len))
		by = "liar";
	else if (opens(&l->host, key, box, len))
		by = "host";
	attack_say(
	    "info hostile takeover-sealed for=%s opened-by=%s bytes=%zu\n",
	    memcmp(id, l->host.id, ENDPOINT_ID_LEN) == 0 ? "host" : "liar", by,
	    n);
}

static void
take_tunnel(struct liar *l, const struct raw *f, int fd)
{
	Ipc__TunnelRequest *request =
	    ipc__tunnel_request__unpack(NULL, f->len, f->body);
	Ipc__TunnelReply reply = IPC__TUNNEL_REPLY__INIT;
	struct raw answer;

	if (request == NULL)
		return;
	reply.result = IPC__RESULT__RESULT_OK;
	attack_pack(&answer, IPC__TYPE__IPC_TUNNEL_REPLY, &reply.base);
	answer.header.request_id = f->header.request_id;
	(void)attack_send(l->fd, &answer, NULL, 0);
	look_at(l, request->endpoint_id.data, fd);
	ipc__tunnel_request__free_unpacked(request, NULL);
}

static void
serve(struct liar *l, unsigned ms)
{
	uint64_t until = clock_mono_ms() + ms;
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	struct raw f;

	while (clock_mono_ms() < until) {
		int passed = -1;

		if (poll(&p, 1, 20) != 1 ||
		    attack_receive(l->fd, &f, &passed) < 0)
			continue;
		if (f.header.type == IPC__TYPE__IPC_TUNNEL_REQUEST &&
		    passed != -1)
			take_tunnel(l, &f, passed);
		close_fd(&passed);
	}
}

void
liar_run(int proxyd_fd)
{
	static struct liar l;
	uint8_t own[ANNOUNCEMENT_LEN], seed[crypto_sign_SEEDBYTES];

	memset(seed, HOST_SEED, sizeof(seed));
	l = (struct liar){ .fd = proxyd_fd,
		.host = make_node(seed),
		.liar = make_node(NULL),
		.sequence = 1 };
	announce(&l.host, l.sequence, clock_unix_ms() + VALID_MS, l.genuine);
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned n = 0; n < LIES; n++) {
			lie(&l, n);
			serve(&l, LIE_MS);
		}
	announce(&l.liar, 1, clock_unix_ms() + VALID_MS, own);
	tell(&l, l.liar.id, "invented", own, NULL);
	serve(&l, 5 * LIE_MS);
}
