// HTTP/1.1 connections of clients on this machine, server side.
#ifndef PROXYD_CLIENT_CONN_H
#define PROXYD_CLIENT_CONN_H

#include "common/cleanup.h"
#include "proxyd/proxyd.h"

// Serve a connection that was accepted.  fd is taken on success only.
MUST_CHECK int client_conn_new(
    struct proxyd *, struct listener *, int fd, const struct sockaddr *from);
// Close those that ask for nothing now.
void client_conns_close_idle(struct proxyd *);
// Tell those who still wait for an answer that there will be none.
void client_conns_stop(struct proxyd *);
void client_conns_close_all(struct proxyd *);

#endif
