// The allow-list of environment variables.  It trusts no variable, and not
// that unsetting one helps: the loader and the libraries have read it before
// main.  A daemon must never go on with a variable that is not on the list.
#include "common/environment.h"

#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/log.h"
#include "common/process.h"

extern char **environ;

enum { VARIABLES_MAX = 16 };

// Empty in a release: all that a child needs to know is in its options.
static const char *const inherited[] = {
#ifdef SANITIZERS
	"ASAN_OPTIONS",
	"LSAN_OPTIONS",
	"UBSAN_OPTIONS",
#endif
	NULL,
};

// What systemd tells a daemon that it starts; read by service.c, log.c and for
// the identity's credential, by no library.
static const char *const of_systemd[] = {
	"CREDENTIALS_DIRECTORY",
	"JOURNAL_STREAM",
	"LISTEN_FDNAMES",
	"LISTEN_FDS",
	"LISTEN_PID",
	"NOTIFY_SOCKET",
	"WATCHDOG_PID",
	"WATCHDOG_USEC",
	NULL,
};

static bool
is_on(const char *const *list, const char *variable)
{
	for (const char *const *name = list; *name != NULL; name++) {
		size_t len = strlen(*name);

		if (strncmp(variable, *name, len) == 0 && variable[len] == '=')
			return true;
	}
	return false;
}

void
environment_filter(char *const *from, char **ret, unsigned max)
{
	unsigned n = 0;

	for (; *from != NULL; from++)
		if (is_on(inherited, *from) && n + 1 < max)
			ret[n++] = *from;
	ret[n] = NULL;
}

static bool
is_allowed(const char *variable)
{
	return is_on(inherited, variable) || is_on(of_systemd, variable);
}

static void
keep_allowed(char **ret)
{
	unsigned n = 0;

	for (char **e = environ; *e != NULL; e++)
		if (is_allowed(*e) && n + 1 < VARIABLES_MAX)
			ret[n++] = *e;
	ret[n] = NULL;
}

static bool
is_clean(void)
{
#ifdef UNCONFINED
	return true; // valgrind, which it may run under, has variables
#else
	unsigned n = 0;

	for (char **e = environ; *e != NULL; e++)
		if (!is_allowed(*e) || ++n >= VARIABLES_MAX)
			return false;
	return true;
#endif
}

void
environment_clean_or_die(char *const argv[])
{
	char *clean[VARIABLES_MAX];

	if (is_clean()) {
		// A program that ran itself again is called "exe" by the
		// kernel; a name that is cut or strange does no harm.
		(void)prctl(PR_SET_NAME, program_invocation_short_name);
		return;
	}
	keep_allowed(clean);
	// The image that runs, whatever its path leads to by now.
	(void)execve("/proc/self/exe", argv, clean);
	fatal("environment", -errno);
}
