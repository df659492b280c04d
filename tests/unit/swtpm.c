// Starts swtpm by its usual tools; the sockets and the state are in a folder
// of their own.
#include "tests/unit/swtpm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/folder.h"

static void
write_file(const struct swtpm *s, const char *name, const char *format)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	for (const char *p = format; *p != '\0'; p++)
		if (*p == '@')
			(void)fputs(s->dir, f);
		else
			(void)fputc(*p, f);
	assert_int_equal(fclose(f), 0);
}

static pid_t
spawn(char *const argv[])
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		// A test that is aborted takes it along.
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 ||
		    dup2(null, STDOUT_FILENO) == -1 ||
		    dup2(null, STDERR_FILENO) == -1)
			_exit(126);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static int
run(char *const argv[])
{
	int status;
	pid_t pid = spawn(argv);

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A socket that is bound may not listen yet.
static bool
can_connect(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can;

	assert_int_not_equal(fd, -1);
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	can = connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0;
	(void)close(fd);
	return can;
}

static void
wait_until_it_listens(const char *path)
{
	for (int i = 0; i < 3000; i++) {
		if (can_connect(path))
			return;
		(void)usleep(10000);
	}
	fail_msg("nobody listens at %s", path);
}

void
swtpm_run(struct swtpm *s)
{
	char state[100], server[128], control[128], path[100];
	char *argv[] = { (char[]){ "swtpm" }, (char[]){ "socket" },
		(char[]){ "--tpm2" }, (char[]){ "--tpmstate" }, state,
		(char[]){ "--server" }, server, (char[]){ "--ctrl" }, control,
		(char[]){ "--flags" },
		(char[]){ "not-need-init,startup-clear" }, NULL };

	(void)snprintf(state, sizeof(state), "dir=%s", s->dir);
	(void)snprintf(
	    server, sizeof(server), "type=unixio,path=%s/sock", s->dir);
	(void)snprintf(
	    control, sizeof(control), "type=unixio,path=%s/sock.ctrl", s->dir);
	(void)snprintf(path, sizeof(path), "%s/sock", s->dir);
	(void)unlink(path);
	s->pid = spawn(argv);
	wait_until_it_listens(path);
}

void
swtpm_start(struct swtpm *s)
{
	char config[100];
	char *setup[] = { (char[]){ "swtpm_setup" }, (char[]){ "--tpm2" },
		(char[]){ "--tpmstate" }, s->dir, (char[]){ "--config" },
		config, (char[]){ "--create-ek-cert" }, (char[]){ "--ecc" },
		(char[]){ "--lock-nvram" }, (char[]){ "--overwrite" }, NULL };
	char *version[] = { (char[]){ "swtpm_setup" }, (char[]){ "--version" },
		NULL };

	if (run(version) == 127) {
		(void)printf("swtpm is absent, so skipped\n");
		skip();
	}
	memcpy(s->dir, "/tmp/swtpm-XXXXXX", 18);
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(config, sizeof(config), "%s/setup.conf", s->dir);
	(void)snprintf(s->tcti, sizeof(s->tcti), "swtpm:path=%s/sock", s->dir);
	write_file(s, "setup.conf",
	    "create_certs_tool = /usr/bin/swtpm_localca\n"
	    "create_certs_tool_config = @/localca.conf\n"
	    "create_certs_tool_options = @/options.conf\n");
	write_file(s, "localca.conf",
	    "statedir = @\nsigningkey = @/signkey.pem\n"
	    "issuercert = @/issuercert.pem\ncertserial = @/certserial\n");
	write_file(s, "options.conf",
	    "--platform-manufacturer Test\n--platform-version 1\n"
	    "--platform-model Test\n");
	assert_int_equal(run(setup), 0);
	swtpm_run(s);
}

void
swtpm_kill(struct swtpm *s)
{
	assert_int_equal(kill(s->pid, SIGKILL), 0);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
	s->pid = -1;
}

void
swtpm_stop(struct swtpm *s)
{
	if (s->pid != -1)
		swtpm_kill(s);
	assert_int_equal(folder_remove(s->dir), 0);
}
