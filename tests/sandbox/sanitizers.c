// What AddressSanitizer and UndefinedBehaviorSanitizer ask of the kernel while
// a daemon serves and when they report.  Added to the list of every daemon of
// a sanitizer build, and of no other.  It must never allow what would let such
// a daemon reach out: no socket, no process, nothing to be written but the
// report; what may be opened is still Landlock's to say, which is nothing.
#include "tests/sandbox/sanitizers.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#include <sys/mman.h>

// clang-format off
const struct sandbox_rule sanitizers_sandbox[] = {
	// while it serves
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "their malloc, with shadow memory"),
	ALLOW(munmap,		"their malloc"),
	ALLOW(madvise,		"their malloc: freed pages are given back"),
	ALLOW(futex,		"their locks"),
	ALLOW(sigaltstack,	"which stack is it, before a call that never returns"),
	// a report
	ALLOW_ARG(write, 0, STDERR_FILENO, "its text"),
	ALLOW_ARGS(ioctl, 0, STDERR_FILENO, 1, TCGETS, "has it colours?"),
	ALLOW(getpid,		"whose it is"),
	ALLOW(readlink,		"/proc/self/exe: which program it is"),
#ifdef __NR_open
	ALLOW_ARG(open, 1, O_RDONLY, "/proc/self/maps: refused, it goes on"),
#else
	ALLOW_ARG(openat, 2, O_RDONLY, "/proc/self/maps: refused, it goes on"),
#endif
	ALLOW(exit_group,	"it is the end"),
};
// clang-format on
const size_t sanitizers_n_sandbox = N_ELEMENTS(sanitizers_sandbox);

// Reads, while it may, what the lines of a report are named with.
__attribute__((constructor)) static void
load_symbols(void)
{
	char line[256];

	__sanitizer_symbolize_pc(
	    (void *)(uintptr_t)load_symbols, "%f", line, sizeof(line));
}

static int is_entered;

void
sanitizers_enter(void)
{
	is_entered = 1;
}

// Asked by LeakSanitizer at the end of the process: it would start a process
// that traces this one, which neither the filter nor the guard permits.
int
__lsan_is_turned_off(void)
{
	return is_entered;
}
