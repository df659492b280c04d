// The end of a child in words.  Pure.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "ctl/spawn.h"
#include "ctl/suite.h"

static const char *
signal_meaning(int signal)
{
	switch (signal) {
	case SIGSYS:
		return ": broke its sandbox; the kernel's audit log names the "
		       "system call";
	case SIGKILL:
		return ": by the kernel, when memory is short, by a person, or "
		       "with its guard";
	default:
		return "";
	}
}

void
describe_wait(int status, char ret[static WAIT_TEXT_MAX])
{
	const char *name;

	if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		(void)snprintf(ret, WAIT_TEXT_MAX, "killed by SIG%s%s",
		    name == NULL ? "?" : name,
		    signal_meaning(WTERMSIG(status)));
		return;
	}
	(void)snprintf(ret, WAIT_TEXT_MAX, "exit status %d%s",
	    WEXITSTATUS(status),
	    WEXITSTATUS(status) == SPAWN_NO_EXEC
		? ": its program could not be run"
		: "");
}
