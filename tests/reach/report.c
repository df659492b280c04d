// report id LIST LINE: how the file `reached` names that line of a filter.
//
// report FOLDER FILE SYSTEM: which lines of the filters FOLDER/reached does
// not have.  FILE is the reviewed list of those that are reached on another
// system only, with the system; each line that is not reached and not in it,
// or in it without need, is an error.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attestd/attestd.h"
#include "attestd/examiner.h"
#include "common/guard.h"
#include "common/porter.h"
#include "cryptod/cryptod.h"
#include "gossipd/gossipd.h"
#include "tests/reach/reach.h"

// proxyd/sandbox.h and attestd.h each have a level_name().
extern const struct sandbox_rule proxyd_sandbox[];
extern const size_t proxyd_sandbox_len;

enum { NAME_MAX_LEN = 64, EXCUSES_MAX = 64 };

struct list {
	const char *name;
	const struct sandbox_rule *rules;
	size_t n;
};

struct excuse {
	char list[NAME_MAX_LEN], call[NAME_MAX_LEN], system[NAME_MAX_LEN];
	bool is_used;
};

static bool is_reached[REACH_IDS];
static struct excuse excuses[EXCUSES_MAX];
static size_t n_excuses;

static void
read_reached(const char *folder)
{
	char path[4096], line[16];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/" REACH_FILE, folder);
	if ((f = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		is_reached[strtoul(line, NULL, 16) % REACH_IDS] = true;
	(void)fclose(f);
}

static int
read_excuses(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "re");
	int r = 0;

	if (f == NULL)
		return -errno;
	while (r == 0 && fgets(line, sizeof(line), f) != NULL) {
		struct excuse *e = &excuses[n_excuses];

		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (n_excuses == EXCUSES_MAX ||
		    sscanf(line, "%63s %63s %63s", e->list, e->call,
			e->system) != 3)
			r = -EINVAL;
		n_excuses++;
	}
	(void)fclose(f);
	return r;
}

static struct excuse *
find_excuse(const char *list, const char *call)
{
	for (size_t i = 0; i < n_excuses; i++)
		if (strcmp(excuses[i].list, list) == 0 &&
		    strcmp(excuses[i].call, call) == 0)
			return &excuses[i];
	return NULL;
}

// The call's name, and from its second line on a number: read, read#2.
static void
name_line(const struct list *list, size_t line, char ret[static NAME_MAX_LEN])
{
	char *call = seccomp_syscall_resolve_num_arch(
	    SCMP_ARCH_NATIVE, list->rules[line].syscall);
	unsigned nth = 1;

	for (size_t i = 0; i < line; i++)
		nth += list->rules[i].syscall == list->rules[line].syscall;
	(void)snprintf(ret, NAME_MAX_LEN, nth == 1 ? "%s" : "%s#%u",
	    call == NULL ? "?" : call, nth);
	free(call);
}

static unsigned
check_list(const struct list *list, const char *system)
{
	unsigned errors = 0;

	for (size_t i = 0; i < list->n; i++) {
		bool reached = is_reached[reach_id(list->rules, list->n, i)];
		char call[NAME_MAX_LEN];
		struct excuse *e;
		const char *wrong = NULL;

		name_line(list, i, call);
		if ((e = find_excuse(list->name, call)) != NULL)
			e->is_used = true;
		if (!reached && e == NULL)
			wrong = "not reached";
		else if (!reached && strcmp(e->system, system) == 0)
			wrong = "not reached, although listed for this system";
		else if (reached && e != NULL && strcmp(e->system, system) != 0)
			wrong = "reached, although listed for another system";
		if (wrong == NULL)
			continue;
		(void)printf("%s %s (%s): %s\n", list->name, call,
		    list->rules[i].why, wrong);
		errors++;
	}
	return errors;
}

static size_t
get_lists(const struct list **ret)
{
	static struct list lists[] = {
		{ "cryptod", cryptod_sandbox, 0 },
		{ "signer", attestd_signer_sandbox, ATTESTD_N_SIGNER_SANDBOX },
		{ "verifier", attestd_verifier_sandbox,
		    ATTESTD_N_VERIFIER_SANDBOX },
		{ "examiner", attestd_examiner_sandbox,
		    ATTESTD_N_EXAMINER_SANDBOX },
		{ "gossipd", gossipd_sandbox, 0 },
		{ "proxyd", proxyd_sandbox, 0 },
		{ "porter", porter_sandbox, 0 },
		{ "guard", guard_sandbox, 0 },
	};

	lists[0].n = cryptod_n_sandbox;
	lists[4].n = gossipd_n_sandbox;
	lists[5].n = proxyd_sandbox_len;
	lists[6].n = porter_n_sandbox;
	lists[7].n = guard_n_sandbox;
	*ret = lists;
	return N_ELEMENTS(lists);
}

// A line for the file of those that were reached, by whom can tell.
static int
print_id(const char *name, const char *line)
{
	const struct list *lists;
	size_t n = get_lists(&lists), i = (size_t)atoi(line);

	for (size_t k = 0; k < n; k++)
		if (strcmp(lists[k].name, name) == 0 && i < lists[k].n) {
			(void)printf(
			    "%04x\n", reach_id(lists[k].rules, lists[k].n, i));
			return EXIT_SUCCESS;
		}
	return EXIT_FAILURE;
}

int
main(int argc, char *argv[])
{
	const struct list *lists;
	size_t n = get_lists(&lists);
	unsigned errors = 0, lines = 0;

	if (argc != 4)
		return 2;
	if (strcmp(argv[1], "id") == 0)
		return print_id(argv[2], argv[3]);
	read_reached(argv[1]);
	if (read_excuses(argv[2]) < 0)
		return 2;
	for (size_t i = 0; i < n; i++) {
		lines += (unsigned)lists[i].n;
		errors += check_list(&lists[i], argv[3]);
	}
	for (size_t i = 0; i < n_excuses; i++)
		if (!excuses[i].is_used) {
			(void)printf("%s %s: no such line\n", excuses[i].list,
			    excuses[i].call);
			errors++;
		}
	(void)printf("%u lines of %zu filters, %zu of them on another system, "
		     "%u errors\n",
	    lines, n, n_excuses, errors);
	return errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
