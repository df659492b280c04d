// `meshllm trust`.
#ifndef CTL_TRUST_H
#define CTL_TRUST_H

// Returns the exit status of the program.
int command_trust(int argc, char *const argv[]);

#endif
