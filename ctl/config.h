// `meshllm config`.
#ifndef CTL_CONFIG_H
#define CTL_CONFIG_H

// Returns the exit status of the program.
int command_config(int argc, char *const argv[]);

#endif
