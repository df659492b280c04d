// The signer's evidence: made of facts that it fetched itself, renewed before
// it is too old, and at once when the keys change.  An attester that fails is
// asked again and again; meanwhile the last evidence lives out its time, and
// nothing else takes its place.
#include "attestd/attestd.h"

#include <string.h>
#include <sys/socket.h>

#include "common/log.h"

enum { LATE_MS = 60 * 1000 }; // a timer may be so late

static void
schedule(struct attestd *d, unsigned ms)
{
	struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	// Without it the evidence ends, and gossipd is told that there is none.
	if (event_add(d->refresh, &wait) == -1)
		LOG(LOG_ERROR, "evidence-timer-lost",
		    F("error", log_error(-ENOMEM)));
}

// For the status of the node.
static void
tell_state(struct attestd *d, const char *problem)
{
	static const char *const names[] = {
		[ATTESTER_NONE] = "none",
		[ATTESTER_SOFTWARE] = "software",
		[ATTESTER_TPM2] = "tpm2",
	};
	Ipc__AttesterState msg = IPC__ATTESTER_STATE__INIT;
	int r = -EPIPE;

	d->state = names[attester_kind_of(d->attester)];
	(void)snprintf(d->problem, sizeof(d->problem), "%s",
	    problem == NULL ? "" : problem);
	msg.name = (char *)(uintptr_t)d->state;
	msg.problem = (char *)(uintptr_t)problem;
	if (d->service != NULL)
		// A gossipd that is not there is told when it comes.
		r = d->peers[ROLE_GOSSIPD] == NULL
		    ? 0
		    : attestd_tell_measured(d, ROLE_GOSSIPD);
	else if (d->peers[ROLE_PARENT] != NULL)
		r = ipc_notify(d->peers[ROLE_PARENT],
		    IPC__TYPE__IPC_ATTESTER_STATE, &msg.base, -1);
	if (r < 0)
		LOG(LOG_WARNING, "state-not-told", F("error", log_error(r)));
}

void
signer_report(struct attestd *d, int r)
{
	const char *problem = attester_problem(d->attester);

	if (problem == NULL && r < 0)
		problem = strerrordesc_np(-r);
	if (!d->is_state_told || (r < 0) != d->is_failing)
		tell_state(d, r < 0 ? problem : NULL);
	d->is_state_told = true;
	if (r == 0 && d->is_failing)
		LOG(LOG_INFO, "attester-recovered");
	if (r < 0 && !d->is_failing)
		LOG(LOG_ERROR, "attester-failed", F("error", log_error(r)),
		    F("reason", problem));
	d->is_failing = r < 0;
}

static void
on_refresh(evutil_socket_t fd, short what, void *arg)
{
	struct attestd *d = arg;
	struct blob_claims claims = { .machine = &d->machine,
		.endpoint_id = d->keys.endpoint_id,
		.inference_key = d->keys.inference_key,
		.now_ms = clock_unix_ms() };
	char blob[BLOB_MADE_MAX];
	size_t len;
	int r;

	(void)fd;
	(void)what;
	r = blob_make(d->attester, &claims, blob, &len);
	signer_report(d, r);
	if (r == 0) {
		memcpy(d->blob, blob, len);
		d->blob_len = len;
		d->blob_made_ms = claims.now_ms;
		LOG(LOG_DEBUG, "evidence-made", F("bytes", (uint64_t)len));
	}
	schedule(d, r == 0 ? ATTESTD_REFRESH_MS : ATTESTD_RETRY_MS);
}

// While we wait for a TPM: does the parent want us to stop?
static bool
is_stop_waiting(int fd)
{
	struct ipc_header header = { 0 };
	struct iovec part = { &header, sizeof(header) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	return recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT) >=
	    (ssize_t)sizeof(header) &&
	    header.type == IPC__TYPE__IPC_STOP;
}

int
signer_init(struct attestd *d, const struct attester_config *from)
{
	struct attester_config copy = *from, *config = &copy;
	int r;

	copy.interrupt_fd = PROCESS_PARENT_FD;
	copy.is_interrupted = is_stop_waiting;

	machine_read("", &d->machine);
	d->refresh = evtimer_new(d->base, on_refresh, d);
	if (d->refresh == NULL)
		return -ENOMEM;
	if ((r = attester_new(config, &d->attester)) < 0 ||
	    (r = answers_new(d, &d->answers)) < 0)
		return r;
	if (config->kind == ATTESTER_SOFTWARE)
		LOG(LOG_WARNING, "software-attester",
		    F("reason",
			"for development: anybody can make such a key"));
	return 0;
}

void
signer_done(struct attestd *d)
{
	if (d->refresh != NULL)
		event_free(d->refresh);
	attester_free(d->attester);
	answers_free(d->answers);
	d->answers = NULL;
	d->refresh = NULL;
	d->attester = NULL;
}

void
signer_forget(struct attestd *d)
{
	d->blob_len = 0;
	d->has_keys = false;
	if (d->refresh != NULL)
		(void)event_del(d->refresh);
}

void
signer_renew(struct attestd *d)
{
	// What was made vouches for the keys before.
	d->blob_len = 0;
	if (d->attester == NULL)
		return;
	if (attester_kind_of(d->attester) == ATTESTER_NONE)
		signer_report(d, 0);
	else
		schedule(d, 0);
}

void
signer_look_at_clock(struct attestd *d, uint64_t now_ms)
{
	if (d->blob_len == 0 || d->is_failing ||
	    (now_ms >= d->blob_made_ms &&
		now_ms - d->blob_made_ms < ATTESTD_REFRESH_MS + LATE_MS))
		return;
	schedule(d, 0);
}
