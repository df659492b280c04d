// The two small files of gossipd, and this machine's addresses.  Files are
// read and opened at start only; neither holds a long-term key.
#include "gossipd/gossipd.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/address.h"

enum { MESH_ID_MAX = 64 };

static int
open_state_dir(const char *dir)
{
	int fd;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd == -1 ? -errno : fd;
}

static int
open_state_file(const char *dir, const char *name)
{
	AUTO_FD dir_fd = open_state_dir(dir);
	AUTO_FD fd = -1;
	struct stat st;

	if (dir_fd < 0)
		return dir_fd;
	fd = openat(
	    dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1 || fstat(fd, &st) == -1)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return -EPERM;
	return take_fd(&fd);
}

// A new one whenever the file does not hold exactly one: it only lets peers
// of a crashed node notice at once.
int
state_load_reset_key(const char *dir, uint8_t ret[static 32])
{
	AUTO_FD fd = open_state_file(dir, "reset-key");

	if (fd < 0)
		return fd;
	if (pread(fd, ret, 32, 0) == 32)
		return 0;
	randombytes_buf(ret, 32);
	return pwrite(fd, ret, 32, 0) == 32 ? 0 : -EIO;
}

static bool
is_mesh_id(const char *text)
{
	size_t len = strlen(text);

	return len != 0 && len <= MESH_ID_MAX &&
	    strspn(text, "0123456789abcdef") == len;
}

int
state_open_mesh_id(const char *dir, int *ret_fd, char ret_id[static 65])
{
	AUTO_FD fd = open_state_file(dir, "mesh-id");
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, ret_id, MESH_ID_MAX, 0);
	ret_id[n < 0 ? 0 : n] = '\0';
	ret_id[strcspn(ret_id, "\n")] = '\0';
	if (!is_mesh_id(ret_id))
		ret_id[0] = '\0';
	*ret_fd = take_fd(&fd);
	return 0;
}

int
state_store_mesh_id(int fd, const char *id)
{
	char line[MESH_ID_MAX + 2];
	int len = snprintf(line, sizeof(line), "%s\n", id);

	if (len < 0 || (size_t)len >= sizeof(line))
		return -EINVAL;
	if (ftruncate(fd, 0) == -1 || pwrite(fd, line, (size_t)len, 0) != len)
		return errno == 0 ? -EIO : -errno;
	return 0;
}

static bool
is_wildcard(const struct address *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

// Link-local addresses need a scope that means nothing elsewhere.
static bool
is_announced(const struct ifaddrs *i, sa_family_t family, bool loopback)
{
	if (i->ifa_addr == NULL || i->ifa_addr->sa_family != family ||
	    (i->ifa_flags & IFF_UP) == 0 ||
	    ((i->ifa_flags & IFF_LOOPBACK) != 0) != loopback)
		return false;
	return family == AF_INET ||
	    !IN6_IS_ADDR_LINKLOCAL(
		&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)
		     ->sin6_addr);
}

static void
from_interface(
    const struct ifaddrs *i, const struct address *bound, struct address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->len = bound->len;
	memcpy(&ret->in6, i->ifa_addr, bound->len);
	if (bound->sa.sa_family == AF_INET)
		ret->in.sin_port = bound->in.sin_port;
	else
		ret->in6.sin6_port = bound->in6.sin6_port;
}

int
state_own_addresses(
    const struct address *bound, struct address *ret, size_t max, size_t *ret_n)
{
	struct ifaddrs *all = NULL;
	size_t n = 0;

	*ret_n = 0;
	if (!is_wildcard(bound)) {
		if (max == 0)
			return -ENOBUFS;
		ret[0] = *bound;
		*ret_n = 1;
		return 0;
	}
	if (getifaddrs(&all) == -1)
		return -errno;
	// Loopback only when there is nothing else: it means another machine
	// to everybody else.
	for (int loopback = 0; loopback <= 1 && n == 0; loopback++)
		for (struct ifaddrs *i = all; i != NULL && n < max;
		     i = i->ifa_next)
			if (is_announced(i, bound->sa.sa_family, loopback))
				from_interface(i, bound, &ret[n++]);
	freeifaddrs(all);
	*ret_n = n;
	return 0;
}

const char *
state_address_text(const struct address *a, char ret[static ADDRESS_TEXT_MAX])
{
	if (address_format(&a->sa, a->len, ret) < 0)
		memcpy(ret, "?", 2);
	return ret;
}
