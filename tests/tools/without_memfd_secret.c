// Runs a program as on a kernel that has no memfd_secret(2).  For tests only.
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

int
main(int argc, char *argv[])
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (argc < 2 || filter == NULL ||
	    seccomp_rule_add(
		filter, SCMP_ACT_ERRNO(ENOSYS), SYS_memfd_secret, 0) < 0 ||
	    seccomp_load(filter) < 0)
		return EXIT_FAILURE;
	(void)execv(argv[1], argv + 1);
	perror(argv[1]);
	return EXIT_FAILURE;
}
