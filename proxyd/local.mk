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
	proxyd/http_body.c proxyd/http_body.h \
	proxyd/http_head.c proxyd/http_head.h \
	proxyd/http_write.c proxyd/http_write.h \
	proxyd/json_scan.c proxyd/json_scan.h \
	proxyd/json_text.c proxyd/json_text.h \
	proxyd/openai_error.c proxyd/openai_error.h \
	proxyd/sealed_answer.c proxyd/sealed_envelope.c \
	proxyd/sealed_request.c proxyd/sealed_v1.h proxyd/utf8.h
proxyd_libproxyparse_a_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) \
	$(CRYPTO_CFLAGS)
# Goes before $(COMMON_LIBS) on a link line.
PROXYPARSE_LIBS = proxyd/libproxyparse.a $(CRYPTO_LIBS)
