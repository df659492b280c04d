// HTTP/1.1 connections of clients on this machine, server side.
#ifndef PROXYD_CLIENT_CONN_H
#define PROXYD_CLIENT_CONN_H

#include "common/cleanup.h"
#include "proxyd/proxyd.h"

// Serve a connection that was accepted.  fd is taken on success only.
MUST_CHECK int client_conn_new(struct listener *, int fd,
    const struct sockaddr *from, const struct party_id *holder);
// Tell it why not, and wait a little until it has read that.  Takes fd.
void client_conn_refuse(struct listener *, int fd, const char *answer);
// client_room.c: before that.  Where a limit is reached an idle connection is
// closed.  NULL: there is room for one more; else the limit.
MUST_CHECK const char *client_room_make(
    struct listener *, const struct party_id *holder);
// Close those that ask for nothing now.
void client_conns_close_idle(struct proxyd *);
// Tell those who still wait for an answer that there will be none.
void client_conns_stop(struct proxyd *);
void client_conns_close_all(struct proxyd *);

#endif
