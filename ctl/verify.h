// `meshllm verify`.
#ifndef CTL_VERIFY_H
#define CTL_VERIFY_H

// Returns the exit status of the program.
int command_verify(int argc, char *const argv[]);

#endif
