// The stubs that other daemons link to tell proxyd something.  They check
// what our own side hands in; proxyd checks again.
#include "proxyd/client.h"

#include <string.h>

#include "common/announcement.h"

enum {
	// A part of a model list stays under IPC_BODY_MAX: 48 names of at
	// most MODEL_NAME_MAX with their tags and lengths, and the id.
	MODELS_PER_PART = 48,
	ADDRESSES_MAX = 16,
	PROCESSES_MAX = 16,
	FILE_PART = IPC_BODY_MAX - 4096 - 16, // beside a long path
};

static ProtobufCBinaryData
bytes(const uint8_t *data, size_t len)
{
	// The generated structs know no const; packing only reads.
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
}

static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

int
proxyd_mesh_info_send(
    struct ipc_peer *peer, const struct proxyd_mesh_info *info)
{
	Ipc__MeshInfo msg = IPC__MESH_INFO__INIT;
	char *addresses[ADDRESSES_MAX];
	size_t n = info->n_addresses;

	if (n > ADDRESSES_MAX)
		n = ADDRESSES_MAX;
	for (size_t i = 0; i < n; i++)
		addresses[i] = text(info->addresses[i]);
	msg.endpoint_id = bytes(info->endpoint_id, ENDPOINT_ID_LEN);
	msg.token = text(info->token);
	msg.addresses = addresses;
	msg.n_addresses = n;
	msg.mesh_id = text(info->mesh_id);
	msg.version = text(info->version);
	return ipc_notify(peer, IPC__TYPE__IPC_MESH_INFO, &msg.base, -1);
}

static bool
model_is_sent(const struct proxyd_model *model)
{
	return strlen(model->name) <= MODEL_NAME_MAX;
}

static size_t
count_models(const struct proxyd_peer_update *update)
{
	size_t n = 0;

	for (size_t i = 0; i < update->n_models && n < PEER_MODELS_MAX; i++)
		n += model_is_sent(&update->models[i]);
	return n;
}

static void
fill_model(Ipc__PeerModels__Model *msg, const struct proxyd_model *model)
{
	ipc__peer_models__model__init(msg);
	msg->name = text(model->name);
	msg->has_context_length = model->context_length != 0;
	msg->context_length = model->context_length;
}

// Always at least one part: the last one makes the update take effect.
static int
send_models(
    struct ipc_peer *peer, const struct proxyd_peer_update *update, size_t left)
{
	Ipc__PeerModels__Model models[MODELS_PER_PART];
	Ipc__PeerModels__Model *list[MODELS_PER_PART];
	size_t next = 0;
	int r;

	do {
		Ipc__PeerModels msg = IPC__PEER_MODELS__INIT;
		size_t n = 0;

		for (; n < MODELS_PER_PART && n < left; next++) {
			if (!model_is_sent(&update->models[next]))
				continue;
			fill_model(&models[n], &update->models[next]);
			list[n] = &models[n];
			n++;
		}
		left -= n;
		msg.endpoint_id = bytes(update->endpoint_id, ENDPOINT_ID_LEN);
		msg.models = list;
		msg.n_models = n;
		msg.final = left == 0;
		r = ipc_notify(peer, IPC__TYPE__IPC_PEER_MODELS, &msg.base, -1);
	} while (r == 0 && left > 0);
	return r;
}

int
proxyd_peer_update_send(
    struct ipc_peer *peer, const struct proxyd_peer_update *update)
{
	Ipc__PeerUpdate msg = IPC__PEER_UPDATE__INIT;
	size_t n_models = count_models(update);
	int r;

	msg.endpoint_id = bytes(update->endpoint_id, ENDPOINT_ID_LEN);
	msg.role = update->role;
	msg.dialect = update->dialect;
	msg.connected = update->connected;
	msg.direct = update->direct;
	msg.has_announcement = update->announcement != NULL;
	msg.announcement = bytes(update->announcement, ANNOUNCEMENT_LEN);
	msg.has_unsigned_key = update->unsigned_key != NULL;
	msg.unsigned_key = bytes(update->unsigned_key, INFERENCE_KEY_LEN);
	msg.version = text(update->version);
	msg.address = text(update->address);
	msg.has_rtt_us = update->rtt_us != 0;
	msg.rtt_us = update->rtt_us;
	msg.has_last_seen_ms = update->last_seen_ms != 0;
	msg.last_seen_ms = update->last_seen_ms;
	msg.has_posture = true;
	msg.posture = update->posture;
	msg.has_owner = true;
	msg.owner = update->owner;
	msg.has_owner_id = update->owner == IPC__OWNER__OWNER_EXPIRED ||
	    update->owner == IPC__OWNER__OWNER_VERIFIED;
	msg.owner_id = bytes(update->owner_id, OWNER_ID_LEN);
	msg.has_evidence =
	    update->evidence != NULL && update->evidence_len <= EVIDENCE_MAX;
	if (msg.has_evidence)
		msg.evidence = bytes(update->evidence, update->evidence_len);
	msg.has_binding = update->binding != NULL;
	msg.binding = bytes(update->binding, 32);
	msg.has_shows_life = update->shows_life;
	msg.shows_life = update->shows_life;
	msg.n_models = (uint32_t)n_models;
	r = ipc_notify(peer, IPC__TYPE__IPC_PEER_UPDATE, &msg.base, -1);
	return r < 0 ? r : send_models(peer, update, n_models);
}

int
proxyd_peer_gone_send(
    struct ipc_peer *peer, const uint8_t endpoint_id[static ENDPOINT_ID_LEN])
{
	Ipc__PeerGone msg = IPC__PEER_GONE__INIT;

	msg.endpoint_id = bytes(endpoint_id, ENDPOINT_ID_LEN);
	return ipc_notify(peer, IPC__TYPE__IPC_PEER_GONE, &msg.base, -1);
}

int
proxyd_tunnel_inbound_send(struct ipc_peer *peer,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN], uint64_t came_ms, int fd)
{
	Ipc__TunnelInbound msg = IPC__TUNNEL_INBOUND__INIT;

	msg.came_ms = came_ms;
	msg.endpoint_id = bytes(endpoint_id, ENDPOINT_ID_LEN);
	return ipc_notify(peer, IPC__TYPE__IPC_TUNNEL_INBOUND, &msg.base, fd);
}

int
proxyd_processes_send(
    struct ipc_peer *peer, const struct proxyd_process *processes, size_t n)
{
	Ipc__Processes msg = IPC__PROCESSES__INIT;
	Ipc__Processes__Process list[PROCESSES_MAX];
	Ipc__Processes__Process *pointers[PROCESSES_MAX];

	if (n > PROCESSES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		ipc__processes__process__init(&list[i]);
		list[i].name = text(processes[i].name);
		list[i].pid = (uint32_t)processes[i].pid;
		list[i].has_rss_bytes = processes[i].rss_bytes != 0;
		list[i].rss_bytes = processes[i].rss_bytes;
		list[i].has_cpu_ms = processes[i].rss_bytes != 0;
		list[i].cpu_ms = processes[i].cpu_ms;
		pointers[i] = &list[i];
	}
	msg.processes = pointers;
	msg.n_processes = n;
	return ipc_notify(peer, IPC__TYPE__IPC_PROCESSES, &msg.base, -1);
}

int
proxyd_reload_file_send(
    struct ipc_peer *peer, const char *path, const char *file, size_t n)
{
	size_t at = 0;
	int r;

	do {
		Ipc__ReloadFile msg = IPC__RELOAD_FILE__INIT;
		size_t part = n - at < FILE_PART ? n - at : FILE_PART;

		msg.path = text(path);
		msg.part = bytes((const uint8_t *)file + at, part);
		at += part;
		msg.final = at == n;
		r = ipc_notify(peer, IPC__TYPE__IPC_RELOAD_FILE, &msg.base, -1);
	} while (r == 0 && at < n);
	return r;
}

int
proxyd_reload_send(struct ipc_peer *peer, char *const arguments[], size_t n,
    ipc_reply_fn *fn, void *arg)
{
	Ipc__Reload msg = IPC__RELOAD__INIT;

	msg.n_arguments = n;
	msg.arguments = (char **)(uintptr_t)arguments;
	if (ipc__reload__get_packed_size(&msg) > IPC_BODY_MAX)
		return -E2BIG;
	return ipc_call(peer, IPC__TYPE__IPC_RELOAD, &msg.base, -1,
	    IPC__TYPE__IPC_RELOAD_REPLY, PROXYD_RELOAD_MS, fn, arg, NULL);
}

static size_t
fill_items(const struct posture *p, Ipc__Posture__Item *items,
    Ipc__Posture__Item **ret)
{
	for (enum posture_id id = 0; id < POSTURE_N; id++) {
		ipc__posture__item__init(&items[id]);
		items[id].name = text(posture_items[id].name);
		items[id].value = p->items[id].value;
		items[id].source = text(p->items[id].source);
		ret[id] = &items[id];
	}
	return POSTURE_N;
}

int
proxyd_posture_send(struct ipc_peer *peer, const struct posture *p,
    const struct proxyd_image *images, size_t n_images)
{
	Ipc__Posture msg = IPC__POSTURE__INIT;
	Ipc__Posture__Item items[POSTURE_N], *item_list[POSTURE_N];
	Ipc__Posture__Image sent[PROCESSES_MAX], *image_list[PROCESSES_MAX];

	if (n_images > PROCESSES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n_images; i++) {
		ipc__posture__image__init(&sent[i]);
		sent[i].name = text(images[i].name);
		sent[i].sha256 = bytes(images[i].sha256, IMAGE_HASH_LEN);
		image_list[i] = &sent[i];
	}
	msg.n_items = fill_items(p, items, item_list);
	msg.items = item_list;
	msg.n_images = n_images;
	msg.images = image_list;
	msg.announced = posture_v1(p);
	return ipc_notify(peer, IPC__TYPE__IPC_POSTURE, &msg.base, -1);
}

int
proxyd_verdicts_void_send(struct ipc_peer *peer, const uint8_t *endpoint_id)
{
	Ipc__VerdictsVoid msg = IPC__VERDICTS_VOID__INIT;

	msg.has_endpoint_id = endpoint_id != NULL;
	msg.endpoint_id = bytes(endpoint_id, ENDPOINT_ID_LEN);
	return ipc_notify(peer, IPC__TYPE__IPC_VERDICTS_VOID, &msg.base, -1);
}

int
proxyd_attester_state_send(
    struct ipc_peer *peer, const char *name, const char *problem)
{
	Ipc__AttesterState msg = IPC__ATTESTER_STATE__INIT;

	msg.name = text(name);
	msg.problem = text(problem);
	return ipc_notify(peer, IPC__TYPE__IPC_ATTESTER_STATE, &msg.base, -1);
}
