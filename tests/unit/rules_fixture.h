/* A configuration in which everybody may listen and speak on every channel, as by default. */
#ifndef TESTS_UNIT_RULES_FIXTURE_H
#define TESTS_UNIT_RULES_FIXTURE_H

#include "gateway/config.h"

static void open_to_all(struct config *config)
{
    config->rules.allow_subscribe_for_client = true;
    config->rules.allow_subscribe_for_anonymous = true;
    config->rules.allow_publish_for_client = true;
    config->rules.allow_publish_for_anonymous = true;
    config->private_prefix = "$";
    config->personal_prefix = "#";
}

#endif
