// The transport's interface without a network, for targets that fuzz what
// gossipd does with streams.  What is sent is thrown away.
#ifndef TESTS_FUZZ_QUIC_STUB_H
#define TESTS_FUZZ_QUIC_STUB_H

#include "gossipd/quic.h"

struct quic_conn *quic_stub_conn(const uint8_t id[static ENDPOINT_ID_LEN]);
void quic_stub_conn_free(struct quic_conn *);
// A stream that the peer opened.
struct quic_stream *quic_stub_stream(const struct quic_conn *);
void quic_stub_stream_free(struct quic_stream *);
// Streams and connections of our side that are still open end now.
void quic_stub_close_opened(void *arg, const struct quic_callbacks *);

#endif
