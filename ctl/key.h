// `meshllm key`.
#ifndef CTL_KEY_H
#define CTL_KEY_H

// Returns the exit status of the program.
int command_key(int argc, char *const argv[]);

#endif
