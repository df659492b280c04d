// Numbers out: one JSON object on standard output.
#include "tests/bench/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void
samples_add(struct samples *s, int64_t ns)
{
	if (s->n == s->capacity) {
		s->capacity = s->capacity == 0 ? 4096 : s->capacity * 2;
		s->ns = reallocarray(s->ns, s->capacity, sizeof(*s->ns));
		if (s->ns == NULL)
			tool_die("reallocarray");
	}
	s->ns[s->n++] = ns;
}

void
results_error(struct results *r, const char *what)
{
	r->errors++;
	for (size_t i = 0; i < ERROR_KINDS_MAX; i++) {
		if (r->kinds[i].n == 0)
			(void)snprintf(r->kinds[i].what,
			    sizeof(r->kinds[i].what), "%s", what);
		if (strcmp(r->kinds[i].what, what) == 0) {
			r->kinds[i].n++;
			return;
		}
	}
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double
quantile_us(const struct samples *s, double q)
{
	size_t i = (size_t)(q * (double)(s->n - 1) + 0.5);

	return (double)s->ns[i] / 1000.0;
}

static void
print_samples(const char *name, struct samples *s)
{
	if (s->n == 0) {
		printf(",\"%s\":null", name);
		return;
	}
	qsort(s->ns, s->n, sizeof(*s->ns), compare);
	printf(",\"%s\":{\"n\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}",
	    name, s->n, quantile_us(s, 0.5), quantile_us(s, 0.99),
	    quantile_us(s, 1.0));
	free(s->ns);
	memset(s, 0, sizeof(*s));
}

static double
cpu_seconds(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) == -1)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void
report_print(struct load *l)
{
	static const char *const modes[] = { "rps", "stream", "upload", "idle",
		"soak" };
	struct results *r = &l->results;
	int64_t end = r->end_ns != 0 ? r->end_ns : tool_now_ns();
	double seconds = (double)(end - r->begin_ns) / 1e9;

	printf("{\"mode\":\"%s\",\"concurrency\":%zu,\"seconds\":%.3f,"
	       "\"started\":%" PRIu64 ",\"done\":%" PRIu64
	       ",\"requests_per_s\":%.1f,\"tokens\":%" PRIu64
	       ",\"open\":%zu,\"aborted\":%" PRIu64 ",\"reconnects\":%" PRIu64,
	    modes[l->mode], l->concurrency, seconds, r->started, r->done,
	    (double)r->done / seconds, r->tokens, l->open, r->aborted,
	    r->reconnects);
	printf(",\"bytes_sent\":%" PRIu64 ",\"bytes_received\":%" PRIu64
	       ",\"upload_MB_per_s\":%.1f,\"client_cpu_s\":%.2f",
	    r->bytes_sent, r->bytes_received,
	    (double)r->bytes_sent / 1e6 / seconds, cpu_seconds());
	print_samples("latency_us", &r->latency);
	print_samples("first_byte_us", &r->first_byte);
	print_samples("added_us", &r->added);
	printf(",\"errors\":%" PRIu64 ",\"error_kinds\":{", r->errors);
	for (size_t i = 0; i < ERROR_KINDS_MAX && r->kinds[i].n != 0; i++)
		printf("%s\"%s\":%" PRIu64, i == 0 ? "" : ",", r->kinds[i].what,
		    r->kinds[i].n);
	printf("}}\n");
}
