// Memory of jansson: requests and answers pass through it, so it is wiped
// before it is given back.
#ifndef PROXYD_JSON_MEMORY_H
#define PROXYD_JSON_MEMORY_H

// Once, before the first JSON value is made.
void json_memory_wipe(void);

#endif
