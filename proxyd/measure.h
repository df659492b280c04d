// What proxyd shows of the machine and the daemons where there is no parent.
#ifndef PROXYD_MEASURE_H
#define PROXYD_MEASURE_H

#include "proxyd/proxyd.h"

void measure_machine(struct proxyd *); // before the sandbox
// What is known now: into the status, and what may be announced to gossipd.
void measure_show(struct proxyd *);
// What changes all the time: read it anew, for who asks.
void measure_refresh(struct proxyd *);

#endif
