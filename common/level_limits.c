// The sentences stand here once, for the verifier's verdicts and for the
// status, the log and the response headers.
#include "common/level_limits.h"

#include "proto/ipc.pb-c.h"

const char *
level_limits(unsigned level)
{
	switch (level) {
	case IPC__LEVEL__LEVEL_SELF_SIGNED:
		return "Anybody can make such evidence with a key of his own.";
	case IPC__LEVEL__LEVEL_TOFU:
		return "Whoever answered first is trusted; where its key is "
		       "kept is not shown.";
	case IPC__LEVEL__LEVEL_PINNED:
		return "The key is the one you named; where it is kept is not "
		       "shown.";
	case IPC__LEVEL__LEVEL_HARDWARE:
		return "The host's operator can still read prompts: the TPM "
		       "vouches for the machine, not for its software.";
	default:
		return "Nothing vouches for this host.";
	}
}
