// Starts a backend and a proxyd in front of it, and asks it; see the header.
#include "tests/unit/proxyd_host_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void
backend_start(struct host *h)
{
	char line[128];
	int out[2];
	ssize_t n;

	assert_int_equal(pipe(out), 0);
	h->backend = fork();
	assert_true(h->backend >= 0);
	if (h->backend == 0) {
		// A test that fails leaves nobody behind.
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(out[0]);
		(void)close(out[1]);
		(void)execl(BACKEND_PROGRAM, "backend", "--port=0",
		    "--model=near", NULL);
		_exit(127);
	}
	(void)close(out[1]);
	n = read(out[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	(void)close(out[0]);
	assert_int_equal(
	    sscanf(line, "listening http://%63s", h->backend_address), 1);
}

void
backend_stop(struct host *h)
{
	(void)kill(h->backend, SIGKILL);
	(void)waitpid(h->backend, NULL, 0);
}

void
host_start(struct host *h, const char *option)
{
	char url[96];
	const char *args[] = { "--backend", url, option, NULL };

	memset(h, 0, sizeof(*h));
	backend_start(h);
	(void)snprintf(url, sizeof(url), "http://%s/v1", h->backend_address);
	rig_start(&h->rig, args);
	h->peer = node_make();
	RIG_UNTIL(&h->rig, h->rig.n_self_models == 1);
}

void
host_stop(struct host *h)
{
	rig_stop(&h->rig);
	backend_stop(h);
}

long
backend_count(struct host *h, const char *name)
{
	struct reply reply;
	char key[64];
	const char *at;
	long n;

	http_get(&h->rig, h->backend_address, "/stats", &reply);
	(void)snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(reply.body, key);
	assert_non_null(at);
	n = atol(at + strlen(key));
	reply_done(&reply);
	return n;
}

bool
ask(struct host *h, const char *plain, struct buf *ret)
{
	uint8_t key[REQUEST_KEY_LEN];
	int tunnel = rig_open_tunnel(&h->rig, h->peer.id);
	bool is_whole;

	opener_write(tunnel, &h->rig.self, plain, key);
	is_whole = opener_read(&h->rig, tunnel, &h->rig.self, key, ret);
	(void)close(tunnel);
	return is_whole;
}

const char *
post(char *ret, size_t size, const char *path, const char *body)
{
	(void)snprintf(ret, size,
	    "POST %s HTTP/1.1\r\nHost: anything\r\n"
	    "Authorization: Bearer hidden\r\nCookie: hidden\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    path, strlen(body), body);
	return ret;
}

int
status_of(const struct buf *plain)
{
	int status = 0;

	assert_int_equal(
	    sscanf((const char *)buf_data(plain), "HTTP/1.1 %d", &status), 1);
	return status;
}
