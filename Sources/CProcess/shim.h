// What starting a process needs of glibc that Swift's own Glibc module leaves out: it is made without _GNU_SOURCE.
#ifndef AGENTPOOL_CPROCESS_SHIM_H
#define AGENTPOOL_CPROCESS_SHIM_H

#include <spawn.h>
#include <sys/eventfd.h>

int pipe2(int ends[2], int flags);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

#endif
