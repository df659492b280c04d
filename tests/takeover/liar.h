// What a gossipd that was taken over tells proxyd about the keys of hosts.
#ifndef TESTS_TAKEOVER_LIAR_H
#define TESTS_TAKEOVER_LIAR_H

// Over its end of the channel to proxyd: all lies one after the other about a
// host of the model "far", whose keys the liar does not have, and then a host
// of its own for the model "invented".  For each sealed request that comes it
// logs takeover-sealed: the node it is for, and who can open it.
void liar_run(int proxyd_fd);

#endif
