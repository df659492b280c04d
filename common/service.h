// A daemon that systemd starts has no parent to talk to.  What it gets and
// gives instead: channels through doors (porter.h), readiness, a line of
// status and signs of life (sd_notify(3)), SIGTERM.
//
// Told by --doors=DIR.  systemd gives one listening socket for each door that
// the daemon serves, by the door's name; where it is a caller, it knocks at
// DIR/NAME.
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/process.h"

// One for each channel of a daemon, in the same order.
struct service_door {
	const char *name; // e.g. "cryptod-proxyd": who serves, who calls
	// On its other side; nobody else is let in.  NULL: our own, for a
	// visitor.
	const char *user;
	const char *peer; // that daemon, for people
	bool is_ours;	  // we serve it
	// Comes, says something and goes; last in the table, and no parent
	// gives a channel for it.
	bool is_visitor;
};

enum { SERVICE_ERROR_MAX = 256 };

struct service;

struct service_events {
	// A channel is there, fd is taken.  An earlier one of this door is
	// over: its caller came anew.  -errno: it could not be used.
	int (*channel)(void *arg, size_t door, int fd);
	void (*stop)(void *arg); // SIGTERM or SIGINT
};

// Take what systemd gives, start the porter.  With one thread, before any
// secret, the guard and process_harden().  doors: static.
MUST_CHECK int service_start(struct service **ret, const char *dir,
    const struct service_door *doors, size_t n,
    char error[static SERVICE_ERROR_MAX]);
// For main: the channels that a parent gives, or what systemd gives if there
// is a dir; else says what is missing and ends the process.  *ret: NULL with a
// parent; the channels are -1 without one.
struct service_join {
	const char *program;
	const char *const *siblings; // NULL at the end
	const char *dir;	     // of --doors, or NULL
	const struct service_door *doors;
	size_t n_doors;
};
void service_join(const struct service_join *, struct process_channels *,
    struct service **ret);
// All below do nothing when the service is NULL: there is a parent then.
void service_free(struct service *);
// From now on the events come.  Needs nothing that a sandbox forbids but the
// calls of the loop, recvmsg, sendmsg and read of descriptor 0.
MUST_CHECK int service_watch(struct service *, struct event_base *,
    const struct service_events *, void *arg);
// Tell systemd: this daemon can serve.
void service_ready(struct service *);
void service_stopping(struct service *);
// The channel behind a door is lost; knock again if that is ours to do.
void service_lost(struct service *, size_t door);
// The same by the role at its other end; roles: of all doors, in their order.
void service_role_lost(
    struct service *, const enum ipc_role *roles, size_t n, enum ipc_role);
// How bad is it that a channel is lost?  The parent sees for itself that a
// sibling ended and says why; under systemd nobody else tells, but who was
// told to stop has said so.
enum log_level service_lost_level(const struct service *,
    const struct ipc_peer *, int reason, bool is_stopping);
// Logs it; to: what the other end is called.
void service_log_lost(const struct service *, const struct ipc_peer *,
    const char *to, int reason, bool is_stopping);
// How bad is it that a request of ours has failed?
enum log_level service_failed_level(int reason);
// Our log has another level.
void service_level_changed(const struct service *);
pid_t service_own_pid(const struct service *);

#endif
