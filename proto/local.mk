# The two schemas: ipc.proto between our processes, node.proto between nodes.
noinst_LIBRARIES += proto/libproto.a
nodist_proto_libproto_a_SOURCES = \
	proto/ipc.pb-c.c proto/ipc.pb-c.h \
	proto/node.pb-c.c proto/node.pb-c.h
proto_libproto_a_CFLAGS = $(PB_CFLAGS) $(PROTOBUF_C_CFLAGS)
BUILT_SOURCES += $(nodist_proto_libproto_a_SOURCES)
CLEANFILES += $(nodist_proto_libproto_a_SOURCES)
EXTRA_DIST += proto/ipc.proto proto/node.proto

proto/ipc.pb-c.c: proto/ipc.proto
	$(AM_V_GEN)$(MKDIR_P) proto && $(PROTOC_C) -I$(top_srcdir)/proto --c_out=proto $(top_srcdir)/proto/ipc.proto
proto/ipc.pb-c.h: proto/ipc.pb-c.c
proto/node.pb-c.c: proto/node.proto
	$(AM_V_GEN)$(MKDIR_P) proto && $(PROTOC_C) -I$(top_srcdir)/proto --c_out=proto $(top_srcdir)/proto/node.proto
proto/node.pb-c.h: proto/node.pb-c.c
