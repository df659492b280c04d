// The signer's evidence: made of facts that it fetched itself, renewed before
// it is too old, and at once when the keys change.  An attester that fails is
// asked again and again; meanwhile the last evidence lives out its time, and
// nothing else takes its place.
#include "attestd/attestd.h"

#include <string.h>

#include "common/log.h"

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

void
signer_report(struct attestd *d, int r)
{
	const char *problem = attester_problem(d->attester);

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

int
signer_init(struct attestd *d, const struct attester_config *config)
{
	int r;

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
	if (d->attester != NULL &&
	    attester_kind_of(d->attester) != ATTESTER_NONE)
		schedule(d, 0);
}
