// Which programs make a node, and where they are found.  Trusts the folder
// that our own program lies in; it must never look into PATH or take a
// program's name from the configuration.
#include "ctl/daemons.h"

#include <stdio.h>
#include <string.h>

const struct daemon daemons[N_DAEMONS] = {
	[CRYPTOD] = { "cryptod", "meshllm-cryptod", "cryptod", NULL,
	    ROLE_CRYPTOD, .keeps_state = true, .user = "meshllm-crypto" },
	[SIGNER] = { "attestd-signer", "meshllm-attestd", "attestd",
	    "role=signer", ROLE_SIGNER, .keeps_state = true,
	    .user = "meshllm-attest" },
	[VERIFIER] = { "attestd-verifier", "meshllm-attestd", "attestd",
	    "role=verifier", ROLE_VERIFIER, .keeps_state = true,
	    .user = "meshllm-attest" },
	[GOSSIPD] = { "gossipd", "meshllm-gossipd", "gossipd", NULL,
	    ROLE_GOSSIPD, .keeps_state = true, .needs_network = true,
	    .user = "meshllm-gossip" },
	[PROXYD] = { "proxyd", "meshllm-proxyd", "proxyd", NULL, ROLE_PROXYD,
	    .needs_network = true, .user = "meshllm-proxy" },
};

// dir/sub/program, if it can be run.
static bool
try_path(const char *dir, const char *sub, const char *program,
    char ret[static PATH_MAX])
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s%s/%s", dir, sub, program);

	if (n < 0 || (size_t)n >= sizeof(path) || access(path, X_OK) == -1)
		return false;
	memcpy(ret, path, (size_t)n + 1);
	return true;
}

static int
own_dir(char ret[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	char *slash;

	if (n == -1)
		return -errno;
	ret[n] = '\0';
	if ((slash = strrchr(ret, '/')) == NULL)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

int
daemon_find(const struct daemon *d, const char *dir, char ret[static PATH_MAX])
{
	char own[PATH_MAX], folder[64];

	if (dir != NULL)
		return try_path(dir, "", d->program, ret) ? 0 : -ENOENT;
	(void)snprintf(folder, sizeof(folder), "/../%s", d->section);
	if (own_dir(own) == 0 &&
	    (try_path(own, "", d->program, ret) ||
		try_path(own, "/../sbin", d->program, ret) ||
		try_path(own, "/..", d->program, ret) ||
		try_path(own, folder, d->program, ret)))
		return 0;
	return try_path(SBINDIR, "", d->program, ret) ? 0 : -ENOENT;
}
