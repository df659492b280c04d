// Removes what a test left in its own folder; follows no symbolic link.
#include "tests/unit/folder.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
folder_remove(const char *dir)
{
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
