#include "common/cluster_name.h"

#include <string.h>

#include "common/channel_name.h"

bool cluster_name_is_valid(const char *name)
{
    size_t size = strlen(name);

    return size <= CLUSTER_NAME_LIMIT && channel_name_is_valid(name, size);
}

const char *cluster_name_sent(const char *name)
{
    return strcmp(name, CLUSTER_NAME_DEFAULT) == 0 ? "" : name;
}

const char *cluster_name_received(const char *sent)
{
    return sent[0] != '\0' ? sent : CLUSTER_NAME_DEFAULT;
}
