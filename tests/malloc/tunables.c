// Linked into the test builds of the daemons only: lets a test choose malloc
// settings although the product removes GLIBC_TUNABLES before anything else.
// A file `tunables` beside the program holds the value; the program runs
// itself again with it, and once the C library has read it at its start, it
// is gone before main looks.
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "common/cleanup.h"

static const char name[] = "GLIBC_TUNABLES";

static ssize_t
read_tunables(char *ret, size_t len)
{
	const char *program = (const char *)(uintptr_t)getauxval(AT_EXECFN);
	const char *slash = strrchr(program, '/');
	char path[PATH_MAX];
	AUTO_FD fd = -1;

	if (slash == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%.*s/tunables",
	    (int)(slash - program), program);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd == -1 ? -1 : read(fd, ret, len);
}

__attribute__((constructor)) static void
set_tunables(int argc, char *argv[])
{
	char variable[512];
	char *environment[] = { variable, NULL };
	ssize_t n;

	(void)argc;
	if (getenv(name) != NULL) {
		(void)unsetenv(name);
		return;
	}
	(void)snprintf(variable, sizeof(variable), "%s=", name);
	n = read_tunables(
	    variable + sizeof(name), sizeof(variable) - sizeof(name) - 1);
	if (n <= 0)
		return;
	variable[sizeof(name) + (size_t)n] = '\0';
	variable[strcspn(variable, "\n")] = '\0';
	(void)execve("/proc/self/exe", argv, environment);
	perror("tunables");
	_exit(EXIT_FAILURE);
}
