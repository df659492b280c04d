// meshllm-chain: what the architecture of two sealed nodes costs when nothing
// is in it: no HTTP but the end of a message, no JSON, no QUIC, no protobuf,
// no sandbox, and crypto only on demand.  The same processes pass the same
// descriptors to one another, written for speed alone, as a floor under every
// program of this shape.  It trusts everybody, fails what is over 16 KiB, and
// carries the requests of meshllm-load to the demo backend, nothing else.
#include "tests/bench/chain.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tools/tool.h"

enum { UDP_BUFFER_BYTES = 4 * 1024 * 1024 };

// Two ends of each channel: the proxy's first.
struct chain {
	struct sockaddr_in backend;
	struct chain_keys keys;
	int listener;
	int near_gossip[2], near_crypto[2];
	int far_gossip[2], far_crypto[2];
	int udp[2];
};

enum role {
	PROXY_NEAR,
	GOSSIP_NEAR,
	CRYPTO_NEAR,
	PROXY_FAR,
	GOSSIP_FAR,
	CRYPTO_FAR,
	ROLES,
};

_Noreturn static void
usage(void)
{
	fputs("usage: meshllm-chain --backend http://127.0.0.1:PORT "
	      "[--x25519]\n",
	    stderr);
	exit(2);
}

static struct sockaddr_in
loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void
parse_options(struct chain *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "backend", required_argument, NULL, 'b' },
		{ "x25519", no_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	int id;

	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const char *colon = id == 'b' ? strrchr(optarg, ':') : NULL;

		if (id == 'x')
			c->keys.x25519 = true;
		else if (colon == NULL)
			usage();
		else
			c->backend = loopback((uint16_t)tool_number(
			    "backend", colon + 1, 1, 65535));
	}
	if (optind != argc || c->backend.sin_port == 0)
		usage();
}

// What is kept by the number of a descriptor has room for all of them.
static void
limit_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		tool_die("getrlimit");
	if (limit.rlim_max > FDS_MAX)
		limit.rlim_max = FDS_MAX;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		tool_die("setrlimit");
}

// On any port of loopback.
static int
bind_socket(int type, struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	*ret = loopback(0);
	if (fd == -1 || bind(fd, (struct sockaddr *)ret, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)ret, &len) == -1)
		tool_die("bind");
	return fd;
}

static void
open_udp(int ret[static 2])
{
	static const int size = UDP_BUFFER_BYTES;
	struct sockaddr_in addresses[2];

	for (int i = 0; i < 2; i++) {
		ret[i] = bind_socket(SOCK_DGRAM, &addresses[i]);
		// As large as the system lets us have.
		(void)setsockopt(
		    ret[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		(void)setsockopt(
		    ret[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	for (int i = 0; i < 2; i++)
		if (connect(ret[i], (struct sockaddr *)&addresses[1 - i],
			sizeof(addresses[0])) == -1)
			tool_die("connect");
}

static void
open_channel(int ret[static 2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) == -1)
		tool_die("socketpair");
}

_Noreturn static void
run_role(const struct chain *c, enum role role)
{
	switch (role) {
	case PROXY_NEAR:
		proxy_near(c->near_gossip[0], c->near_crypto[0], c->listener);
	case GOSSIP_NEAR:
		gossip_near(c->near_gossip[1], c->udp[0]);
	case CRYPTO_NEAR:
		crypto_near(c->near_crypto[1], &c->keys);
	case PROXY_FAR:
		proxy_far(c->far_gossip[0], c->far_crypto[0], &c->backend);
	case GOSSIP_FAR:
		gossip_far(c->far_gossip[1], c->udp[1]);
	default:
		crypto_far(c->far_crypto[1], &c->keys);
	}
}

// They have the ends of others as well, and use their own; they end with us.
static void
start_role(const struct chain *c, enum role role)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == -1)
		tool_die("fork");
	if (pid != 0)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(EXIT_FAILURE);
	run_role(c, role);
}

int
main(int argc, char **argv)
{
	static struct chain c;
	struct sockaddr_in address;

	parse_options(&c, argc, argv);
	limit_files();
	crypto_init(&c.keys);
	c.listener = bind_socket(SOCK_STREAM, &address);
	if (listen(c.listener, 4096) == -1)
		tool_die("listen");
	open_channel(c.near_gossip);
	open_channel(c.near_crypto);
	open_channel(c.far_gossip);
	open_channel(c.far_crypto);
	open_udp(c.udp);
	for (int role = 0; role < ROLES; role++)
		start_role(&c, (enum role)role);
	printf("listening http://127.0.0.1:%u\n", ntohs(address.sin_port));
	if (fflush(stdout) == EOF)
		tool_die("stdout");
	// None of them ends by itself.
	(void)wait(NULL);
	fputs("meshllm-chain: a process ended\n", stderr);
	return EXIT_FAILURE;
}
