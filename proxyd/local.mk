# What this folder adds to the build.

# Stubs for those who tell proxyd something: gossipd and the parent.
noinst_LIBRARIES += proxyd/libproxydclient.a
proxyd_libproxydclient_a_SOURCES = proxyd/client.c proxyd/client.h
proxyd_libproxydclient_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)

# What is parsed, sealed and opened: no I/O, no log, no event loop.
noinst_LIBRARIES += proxyd/libproxyparse.a
proxyd_libproxyparse_a_SOURCES = \
	proxyd/b64.c proxyd/b64.h \
	proxyd/box.c proxyd/box.h \
	proxyd/http_body.c proxyd/http_body.h \
	proxyd/http_head.c proxyd/http_head.h \
	proxyd/http_write.c proxyd/http_write.h \
	proxyd/json_hints.c proxyd/json_hints.h \
	proxyd/json_plain.h proxyd/json_out.c proxyd/json_out.h \
	proxyd/json_scan.c proxyd/json_scan.h \
	proxyd/json_text.c proxyd/json_text.h \
	proxyd/load.c proxyd/load.h \
	proxyd/multipart.c proxyd/multipart.h \
	proxyd/openai_error.c proxyd/openai_error.h \
	proxyd/responses.h proxyd/responses_answer.c \
	proxyd/responses_input.c proxyd/responses_items.c \
	proxyd/responses_job.h proxyd/responses_request.c \
	proxyd/sealed_answer.c proxyd/sealed_envelope.c \
	proxyd/usage.c proxyd/usage.h \
	proxyd/sealed_request.c proxyd/sealed_v1.h \
	proxyd/sse.c proxyd/sse.h
proxyd_libproxyparse_a_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) \
	$(CRYPTO_CFLAGS) $(JANSSON_CFLAGS)
# Goes before $(COMMON_LIBS) on a link line.
PROXYPARSE_LIBS = proxyd/libproxyparse.a $(CRYPTO_LIBS)

# The daemon: everything but main.c, so that tests link it.
noinst_LIBRARIES += proxyd/libproxyd.a
proxyd_libproxyd_a_SOURCES = \
	proxyd/access.c proxyd/access.h \
	proxyd/answer.c proxyd/answer.h \
	proxyd/attempt.c proxyd/attempt.h \
	proxyd/attempt_local.c proxyd/attempt_tunnel.c proxyd/attempt_tunnel_answer.c \
	proxyd/backend.c proxyd/backend.h \
	proxyd/backend_probe.c \
	proxyd/body_scan.h \
	proxyd/breaker.c proxyd/breaker.h \
	proxyd/candidates.c proxyd/candidates.h \
	proxyd/channels.c proxyd/channels.h \
	proxyd/measure.c proxyd/measure.h \
	proxyd/client_conn.c proxyd/client_conn.h \
	proxyd/client_conn_state.h proxyd/client_request.c \
	proxyd/client_room.c \
	proxyd/config.c proxyd/config.h \
	proxyd/events.c proxyd/events.h \
	proxyd/gate.c proxyd/gate.h \
	proxyd/evidence.c proxyd/evidence.h \
	proxyd/handle_cryptod.c proxyd/handle_gossipd.c \
	proxyd/handle_parent.c \
	proxyd/inbound.c proxyd/inbound.h proxyd/inbound_state.h \
	proxyd/inbound_request.c proxyd/inbound_sealed.c \
	proxyd/json_memory.c proxyd/json_memory.h \
	proxyd/keep_alive.c proxyd/keep_alive.h \
	proxyd/learned.c proxyd/learned.h \
	proxyd/listen.c proxyd/listen.h proxyd/listen_unix.c \
	proxyd/load_tell.c \
	proxyd/metrics.c proxyd/metrics.h \
	proxyd/models.c proxyd/models.h \
	proxyd/party.c proxyd/party.h \
	proxyd/peers.c proxyd/peers.h \
	proxyd/proxyd.c proxyd/proxyd.h \
	proxyd/queue.c proxyd/queue.h \
	proxyd/ready_keys.c proxyd/ready_keys.h \
	proxyd/reap.c proxyd/reap.h \
	proxyd/recent.c proxyd/recent.h \
	proxyd/reload.c proxyd/reload.h \
	proxyd/relay.c proxyd/request.c proxyd/request.h \
	proxyd/request_answer.c proxyd/request_body.c \
	proxyd/request_log.c proxyd/request_reply.c \
	proxyd/route.c proxyd/route.h \
	proxyd/rules.c proxyd/sandbox.c proxyd/sandbox.h \
	proxyd/silence.c proxyd/silence.h \
	proxyd/sse_tail.h \
	proxyd/evidence_copy.c proxyd/evidence_copy.h \
	proxyd/status.c proxyd/status.h \
	proxyd/seats.c proxyd/seats.h \
	proxyd/stream.c proxyd/stream.h \
	proxyd/translation.c proxyd/translation.h \
	proxyd/upstream.c proxyd/upstream.h \
	proxyd/verdict.c proxyd/verdict.h
PROXYD_CFLAGS = $(SODIUM_CFLAGS) $(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS) \
	$(JANSSON_CFLAGS) $(SECCOMP_CFLAGS)
proxyd_libproxyd_a_CFLAGS = $(AM_CFLAGS) $(PROXYD_CFLAGS)
PROXYD_LIBS = proxyd/libproxyd.a $(PROXYPARSE_LIBS) \
	cryptod/libcryptod_client.a gossipd/libgossipd_client.a \
	attestd/libattestd_client.a $(COMMON_LIBS) $(JANSSON_LIBS) \
	$(SECCOMP_LIBS)

sbin_PROGRAMS += meshllm-proxyd
meshllm_proxyd_SOURCES = proxyd/main.c
meshllm_proxyd_CFLAGS = $(AM_CFLAGS) $(PROXYD_CFLAGS)
meshllm_proxyd_LDADD = $(PROXYD_LIBS)
