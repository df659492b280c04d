# The meshllm command: parent of the daemons, and questions to a node.
noinst_LIBRARIES += ctl/libctl.a
ctl_libctl_a_SOURCES = \
	ctl/ask.c ctl/ask.h \
	ctl/channels.c \
	ctl/config.c ctl/config.h \
	ctl/daemons.c ctl/daemons.h \
	ctl/doctor.c ctl/doctor.h \
	ctl/handle_ready.c \
	ctl/http_get.c ctl/http_get.h \
	ctl/key.c ctl/key.h \
	ctl/measure.c \
	ctl/privilege.c ctl/privilege.h \
	ctl/reload.c ctl/reload.h ctl/reload_service.c \
	ctl/rules.c \
	ctl/run_options.c ctl/run_options.h \
	ctl/spawn.c ctl/spawn.h \
	ctl/state_dir.c ctl/state_dir.h \
	ctl/status.c ctl/status.h \
	ctl/suite.c ctl/suite.h \
	ctl/trust.c ctl/trust.h \
	ctl/usage.c \
	ctl/verify.c ctl/verify.h \
	ctl/wait.c
ctl_libctl_a_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS) $(SECCOMP_CFLAGS) \
	$(CRYPTO_CFLAGS)
# Pure functions: the trust files' format.
CTL_LIBS = ctl/libctl.a proxyd/libproxydclient.a \
	gossipd/libgossipd_client.a $(EVIDENCE_LIBS) \
	$(JANSSON_LIBS)

bin_PROGRAMS += ctl/meshllm
ctl_meshllm_SOURCES = ctl/main.c
ctl_meshllm_CFLAGS = $(ctl_libctl_a_CFLAGS)
ctl_meshllm_LDADD = $(CTL_LIBS)
