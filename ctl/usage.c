// How much memory and time the processes of the node take: proxyd shows it,
// but sees no /proc.  What the kernel does not show us is left out.
#include <fcntl.h>
#include <stdio.h>

#include "common/log.h"
#include "common/usage.h"
#include "ctl/suite.h"
#include "proxyd/client.h"

static int
read_stat(pid_t pid, char ret[static USAGE_TEXT_MAX])
{
	char path[64];
	AUTO_FD fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	n = read(fd, ret, USAGE_TEXT_MAX - 1);
	if (n == -1)
		return -errno;
	ret[n] = '\0';
	return 0;
}

static void
read_usage(struct proxyd_process *p)
{
	char text[USAGE_TEXT_MAX];

	if (read_stat(p->pid, text) == 0)
		usage_parse(text, &p->rss_bytes, &p->cpu_ms);
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
