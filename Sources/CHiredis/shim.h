// hiredis's codec: the reader of replies and the writer of commands. Its sockets aren't used.
#ifndef AGENTPOOL_CHIREDIS_SHIM_H
#define AGENTPOOL_CHIREDIS_SHIM_H

#include <stdlib.h>
#include <hiredis/hiredis.h>

#endif
