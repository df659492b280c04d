# Shared by all daemons; knows none of them.
noinst_LIBRARIES += common/libcommon.a
common_libcommon_a_SOURCES = \
	common/announcement.c common/announcement.h \
	common/cleanup.h common/sizes.h \
	common/ipc.c common/ipc.h common/ipc_frame.c \
	common/arena.c common/arena.h \
	common/address.c common/address.h \
	common/api_keys.c common/api_keys.h \
	common/backend_url.c common/backend_url.h \
	common/base64.c common/base64.h \
	common/buf.c common/buf.h \
	common/environment.c common/environment.h \
	common/file.c common/file.h \
	common/guard.c common/guard.h \
	common/hex.c common/hex.h common/slice.h \
	common/landlock.c common/landlock.h \
	common/level_limits.c common/level_limits.h \
	common/leaving.c common/leaving.h \
	common/liveness.c common/liveness.h \
	common/log.c common/log.h common/log_line.c common/log_line.h \
	common/log_level.c common/log_level.h \
	common/loop.c common/loop.h \
	common/measure.c common/measure.h \
	common/node_options.c common/node_options.h \
	common/options.c common/options.h \
	common/porter.c common/porter.h \
	common/posture.c common/posture.h common/posture_daemons.c common/posture_items.c \
	common/process.c common/process.h \
	common/rfc3339.c common/rfc3339.h \
	common/sandbox.c common/sandbox.h \
	common/secret.c common/secret.h \
	common/utf8.h common/values.c common/values.h \
	common/usage.c common/usage.h \
	common/words.c common/words.h \
	common/service.c common/service.h
if SANITIZERS
common_libcommon_a_SOURCES += tests/sandbox/sanitizers.c tests/sandbox/sanitizers.h
endif
nodist_common_libcommon_a_SOURCES = common/build_id.h common/log_ids.h
common_libcommon_a_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS) $(CAP_CFLAGS) $(SECCOMP_CFLAGS)
COMMON_LIBS = common/libcommon.a proto/libproto.a $(SODIUM_LIBS) \
	$(EVENT_LIBS) $(PROTOBUF_C_LIBS) $(CAP_LIBS) $(SECCOMP_LIBS)
BUILT_SOURCES += common/build_id.h common/log_ids.h
CLEANFILES += common/build_id.h common/log_ids.h

common/log_ids.h: systemd/catalog.in systemd/make-catalog
	$(AM_V_GEN)$(MKDIR_P) common && \
	$(srcdir)/systemd/make-catalog ids $(srcdir)/systemd/catalog.in \
	>$@.tmp && mv $@.tmp $@

# Two processes talk only when they were built from the same messages.
common/build_id.h: proto/ipc.proto configure.ac
	$(AM_V_GEN)$(MKDIR_P) common && { \
	echo '/* SHA-256 of the version and proto/ipc.proto. */'; \
	echo 'static const unsigned char build_id[32] = {'; \
	{ echo '$(PACKAGE_VERSION)'; cat $(top_srcdir)/proto/ipc.proto; } | \
	sha256sum | cut -c1-64 | sed 's/../0x&,/g'; echo '};'; } >$@
