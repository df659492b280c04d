// How much memory and time the processes of the node take: proxyd shows it,
// but sees no /proc.  What the kernel does not show us is left out.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "ctl/suite.h"
#include "proxyd/client.h"

enum { PROC_TEXT_MAX = 1024 };

static int
read_proc(pid_t pid, const char *name, char ret[static PROC_TEXT_MAX])
{
	char path[64];
	AUTO_FD fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	n = read(fd, ret, PROC_TEXT_MAX - 1);
	if (n == -1)
		return -errno;
	ret[n] = '\0';
	return 0;
}

static uint64_t
ticks_to_ms(uint64_t ticks)
{
	long hz = sysconf(_SC_CLK_TCK);

	return hz <= 0 ? 0 : ticks * 1000 / (uint64_t)hz;
}

// proc(5): statm has pages; stat has the times behind the name, which ends
// with the last parenthesis.
static void
read_usage(struct proxyd_process *p)
{
	char text[PROC_TEXT_MAX];
	const char *at;
	uint64_t pages = 0, user = 0, system = 0;

	if (read_proc(p->pid, "statm", text) < 0 ||
	    sscanf(text, "%*u %" SCNu64, &pages) != 1)
		return;
	p->rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	if (read_proc(p->pid, "stat", text) < 0 ||
	    (at = strrchr(text, ')')) == NULL ||
	    sscanf(at + 1,
		" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64
		" %" SCNu64,
		&user, &system) != 2)
		return;
	p->cpu_ms = ticks_to_ms(user + system);
}

int
suite_tell_processes(struct suite *s)
{
	static const struct timeval later = { SUITE_USAGE_MS / 1000, 0 };
	struct proxyd_process list[N_DAEMONS + 1];
	struct ipc_peer *proxyd = s->children[PROXYD].peer;
	size_t n = 0;

	list[n++] = (struct proxyd_process){ "meshllm", getpid(), 0, 0 };
	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		list[n++] =
		    (struct proxyd_process){ s->children[d].daemon->name,
			    s->children[d].pid, 0, 0 };
	for (size_t i = 0; i < n; i++)
		read_usage(&list[i]);
	(void)evtimer_add(s->telling, &later);
	return proxyd == NULL ? -EPIPE : proxyd_processes_send(proxyd, list, n);
}
