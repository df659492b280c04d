// The `meshllm` command: one word says what to do.  Holds nothing, needs no
// privilege.
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "ctl/config.h"
#include "ctl/doctor.h"
#include "ctl/key.h"
#include "ctl/reload.h"
#include "ctl/run_options.h"
#include "ctl/status.h"
#include "ctl/suite.h"
#include "ctl/trust.h"
#include "ctl/verify.h"

enum { EXIT_USAGE = 2 };

struct command {
	const char *name, *help;
	int (*run)(int argc, char *const argv[]);
};

static int
command_run(int argc, char *const argv[])
{
	struct run_options o;
	char error[512];
	int r = run_options_read(&o, argc, argv, error, sizeof(error));
	int exit_status = EXIT_SUCCESS;

	if (r == 1) {
		run_options_help();
	} else if (r < 0) {
		(void)fprintf(stderr, "meshllm run: %s\n", error);
		exit_status = EXIT_USAGE;
	} else {
		exit_status = suite_run(&o, argc, argv);
	}
	run_options_done(&o);
	return exit_status;
}

static int
command_version(int argc, char *const argv[])
{
	(void)argc;
	(void)argv;
	return printf("meshllm %s\n", PACKAGE_VERSION) < 0 ? EXIT_FAILURE
							   : EXIT_SUCCESS;
}

static int command_help(int argc, char *const argv[]);

static const struct command commands[] = {
	{ "run", "Start a node: all daemons, in the foreground.", command_run },
	{ "status", "Show the node, its processes and its peers.",
	    command_status },
	{ "invite", "Print the token with which others join this node.",
	    command_invite },
	{ "config", "Check the configuration file.", command_config },
	{ "doctor", "Try what protects a node on this machine.",
	    command_doctor },
	{ "key", "Make and remove the API keys of this node.", command_key },
	{ "reload", "Used by systemctl reload.", command_reload },
	{ "trust", "Decide which attestation keys and roots to trust.",
	    command_trust },
	{ "verify", "Check a host's evidence, running or saved.",
	    command_verify },
	{ "version", "Print the version.", command_version },
	{ "help", "Print this text.", command_help },
};

static void
print_usage(FILE *f)
{
	(void)fprintf(f, "usage: meshllm COMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		(void)fprintf(
		    f, "  %-8s %s\n", commands[i].name, commands[i].help);
	(void)fprintf(f, "\n`meshllm COMMAND --help` shows its options.\n");
}

static int
command_help(int argc, char *const argv[])
{
	(void)argc;
	(void)argv;
	print_usage(stdout);
	return EXIT_SUCCESS;
}

int
main(int argc, char *argv[])
{
	const char *name = argc > 1 ? argv[1] : "";

	log_open("meshllm");
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (*name != '\0')
		(void)fprintf(stderr, "meshllm: no command \"%.32s\"\n", name);
	print_usage(stderr);
	return EXIT_USAGE;
}
