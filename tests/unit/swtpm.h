// A software TPM with a certification authority of its own, for one test.
#ifndef TESTS_UNIT_SWTPM_H
#define TESTS_UNIT_SWTPM_H

#include <sys/types.h>

struct swtpm {
	char dir[64];
	char tcti[100]; // for --attester=tpm2:
	pid_t pid;
};

// Skips the test where swtpm is not installed.
void swtpm_start(struct swtpm *);
void swtpm_kill(struct swtpm *);
void swtpm_run(struct swtpm *);	 // again, with the same state
void swtpm_stop(struct swtpm *); // and everything away

#endif
