// The stubs that proxyd links to ask something of gossipd.
#include "gossipd/client.h"

#include <string.h>

enum { MODELS_PER_PART = 48 }; // stays under IPC_BODY_MAX

int
gossipd_tunnel_send(struct ipc_peer *peer,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN], int fd,
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__TunnelRequest msg = IPC__TUNNEL_REQUEST__INIT;

	msg.endpoint_id.data = (uint8_t *)(uintptr_t)endpoint_id;
	msg.endpoint_id.len = ENDPOINT_ID_LEN;
	return ipc_call(peer, IPC__TYPE__IPC_TUNNEL_REQUEST, &msg.base, fd,
	    IPC__TYPE__IPC_TUNNEL_REPLY, deadline_ms, fn, arg, ret_id);
}

int
gossipd_evidence_stream_send(struct ipc_peer *peer,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN], int fd,
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__EvidenceStreamRequest msg = IPC__EVIDENCE_STREAM_REQUEST__INIT;

	msg.endpoint_id.data = (uint8_t *)(uintptr_t)endpoint_id;
	msg.endpoint_id.len = ENDPOINT_ID_LEN;
	return ipc_call(peer, IPC__TYPE__IPC_EVIDENCE_STREAM_REQUEST, &msg.base,
	    fd, IPC__TYPE__IPC_EVIDENCE_STREAM_REPLY, deadline_ms, fn, arg,
	    ret_id);
}

int
gossipd_evidence_stream_read(int status, const ProtobufCMessage *msg,
    Ipc__Result *ret_result, const uint8_t **ret_binding)
{
	const Ipc__EvidenceStreamReply *reply =
	    (const Ipc__EvidenceStreamReply *)msg;
	bool ok;

	if (status != 0)
		return status;
	ok = reply->result == IPC__RESULT__RESULT_OK;
	if (ok != (reply->has_binding != 0) ||
	    (ok && reply->binding.len != GOSSIPD_BINDING_LEN))
		return -EBADMSG;
	*ret_result = reply->result;
	*ret_binding = ok ? reply->binding.data : NULL;
	return 0;
}

static int
send_part(struct ipc_peer *peer, const struct gossipd_model *models, size_t n,
    bool final)
{
	Ipc__PeerModels__Model list[MODELS_PER_PART];
	Ipc__PeerModels__Model *pointers[MODELS_PER_PART];
	Ipc__SelfModels msg = IPC__SELF_MODELS__INIT;

	for (size_t i = 0; i < n; i++) {
		ipc__peer_models__model__init(&list[i]);
		list[i].name = (char *)(uintptr_t)models[i].name;
		list[i].has_context_length = models[i].context_length != 0;
		list[i].context_length = models[i].context_length;
		pointers[i] = &list[i];
	}
	msg.models = pointers;
	msg.n_models = n;
	msg.final = final;
	return ipc_notify(peer, IPC__TYPE__IPC_SELF_MODELS, &msg.base, -1);
}

int
gossipd_self_update_send(struct ipc_peer *peer, bool has_backend,
    uint16_t api_port, const struct gossipd_model *models, size_t n)
{
	Ipc__SelfUpdate msg = IPC__SELF_UPDATE__INIT;
	size_t part;
	int r;

	if (n > PEER_MODELS_MAX)
		n = PEER_MODELS_MAX;
	msg.host = has_backend;
	msg.api_port = api_port;
	msg.n_models = (uint32_t)n;
	r = ipc_notify(peer, IPC__TYPE__IPC_SELF_UPDATE, &msg.base, -1);
	do {
		if (r < 0)
			return r;
		part = n < MODELS_PER_PART ? n : MODELS_PER_PART;
		n -= part;
		r = send_part(peer, models, part, n == 0);
		models += part;
	} while (n != 0);
	return r;
}

int
gossipd_posture_send(struct ipc_peer *peer, uint32_t announced)
{
	Ipc__Posture msg = IPC__POSTURE__INIT;

	msg.announced = announced;
	return ipc_notify(peer, IPC__TYPE__IPC_POSTURE, &msg.base, -1);
}
