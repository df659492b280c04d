// The folder of a test, with all that is in it.
#ifndef TESTS_UNIT_FOLDER_H
#define TESTS_UNIT_FOLDER_H

// 0, or -1 with errno.
int folder_remove(const char *dir);

#endif
