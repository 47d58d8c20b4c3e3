/*
 * A cluster's name keeps routers and gateways apart that are not meant for each other. Nodes that
 * are older than such names send none, and are of the default cluster; so that they and we agree,
 * also on what is proved of the secret, the default name is sent as none.
 */
#ifndef COMMON_CLUSTER_NAME_H
#define COMMON_CLUSTER_NAME_H

#include <stdbool.h>

#define CLUSTER_NAME_LIMIT   64 /* bytes */
#define CLUSTER_NAME_DEFAULT "carillon"

/* The rule of channel names (channel_name.h), with a smaller limit. */
bool cluster_name_is_valid(const char *name);

/* The name as it is sent. */
const char *cluster_name_sent(const char *name);

/* The name that was sent so. */
const char *cluster_name_received(const char *sent);

#endif
