// A TCTI (TSS 2.0 TCTI specification) over one descriptor: /dev/tpmrm0, or
// the socket of a software TPM.  Every exchange ends at a deadline: a TPM
// that hangs is an error, never a wait.
#ifndef ATTESTD_TCTI_FD_H
#define ATTESTD_TCTI_FD_H

#include <stdbool.h>
#include <stdint.h>
#include <tss2/tss2_tcti.h>

#include "common/cleanup.h"

enum { TCTI_PATH_MAX = 100, TCTI_RESPONSE_MAX = 4096 };

struct tcti_fd {
	TSS2_TCTI_CONTEXT_COMMON_V1 common; // first
	int fd;				    // owned; -1: closed
	bool (*is_interrupted)(int fd);	    // or NULL
	int interrupt_fd;     // when it can be read, is_interrupted is asked
	uint64_t deadline_ms; // monotonic, of what is under way
	bool is_late;	      // it passed
	size_t have;
	uint8_t response[TCTI_RESPONSE_MAX];
};

// device:PATH or swtpm:path=PATH.  -EINVAL; -errno of the open.
MUST_CHECK int tcti_fd_open(struct tcti_fd *, const char *conf);
void tcti_fd_close(struct tcti_fd *);
// Is this the form?  *ret_path: the part behind.
bool tcti_fd_is_conf(const char *conf, const char **ret_path, bool *ret_socket);

#endif
