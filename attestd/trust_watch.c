// Notices that the operator changed the trust files: the kernel says so
// (inotify), and each verdict looks again.  Trusts the folder it was given;
// what stands in the events is not looked at.
#include "attestd/attestd.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/log.h"
#include "proxyd/client.h"

void
trust_look(struct attestd *d)
{
	int r = 0;

	if (!trust_store_refresh(&d->trust))
		return;
	if (d->trust.is_damaged)
		LOG(LOG_ERROR, "trust-damaged",
		    F("line", (uint64_t)d->trust.bad_line));
	else
		LOG(LOG_INFO, "trust-read",
		    F("lines", (uint64_t)d->trust.decided.n));
	if (d->peers[ROLE_PROXYD] != NULL)
		r = proxyd_verdicts_void_send(d->peers[ROLE_PROXYD], NULL);
	// Then they end by themselves, in LEVEL_VERDICT_MS.
	if (r < 0)
		LOG(LOG_WARNING, "verdicts-not-taken-back",
		    F("error", log_error(r)));
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	char events[4096];

	(void)what;
	while (read(fd, events, sizeof(events)) > 0)
		;
	trust_look(arg);
}

int
trust_watch_init(struct attestd *d, const char *dir)
{
	AUTO_FD fd = -1;

	if (dir == NULL)
		return 0;
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd == -1 ||
	    inotify_add_watch(fd, dir,
		IN_ONLYDIR | IN_DONT_FOLLOW | IN_MOVED_TO | IN_MOVED_FROM |
		    IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB) == -1) {
		// Too many watches on this machine: verdicts end soon enough.
		LOG(LOG_WARNING, "trust-not-watched",
		    F("error", log_error(errno)));
		return 0;
	}
	if (dup3(fd, ATTESTD_WATCH_FD, O_CLOEXEC) == -1)
		return -errno;
	d->trust_event = event_new(
	    d->base, ATTESTD_WATCH_FD, EV_READ | EV_PERSIST, on_event, d);
	if (d->trust_event == NULL || event_add(d->trust_event, NULL) == -1)
		return -ENOMEM;
	return 0;
}

void
trust_watch_done(struct attestd *d)
{
	int fd;

	if (d->trust_event == NULL)
		return;
	fd = event_get_fd(d->trust_event);
	event_free(d->trust_event);
	d->trust_event = NULL;
	close_fd(&fd);
}
