// What a running node says of itself, for people.
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/cleanup.h"

enum { STATUS_TOKEN_MAX = 4096 };

// NULL when it is not the status of a meshllm node, with the reason in error.
json_t *status_parse(
    const char *body, size_t len, char *error, size_t error_len);
// now_ms: Unix, for ages.  Text of others is escaped.
void status_print(FILE *, const json_t *status, int64_t now_ms);
// NULL when there is none, or it holds what no token holds.
const char *status_token(const json_t *status);

// The commands; they return the exit status of the program.
int command_status(int argc, char *const argv[]);
int command_invite(int argc, char *const argv[]);

#endif
