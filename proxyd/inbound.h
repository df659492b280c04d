// Tunnels that peers open to us: one request each, sealed or plain, answered
// by a backend of this machine and by nobody else.
#ifndef PROXYD_INBOUND_H
#define PROXYD_INBOUND_H

#include "common/cleanup.h"
#include "common/sizes.h"
#include "proxyd/proxyd.h"

// Serve a tunnel; fd is taken in any case.  came_ms: of clock_boot_ms().
void inbound_new(struct proxyd *, const uint8_t peer_id[static ENDPOINT_ID_LEN],
    uint64_t came_ms, int fd);
void inbounds_close_all(struct proxyd *);

#endif
