/*
 * A group is limited by its parents as well, so every level is visited, from the group up to the
 * mount. That also finds the limit where the container sees only its own part of the tree and the
 * path of its group leads nowhere (version 1 without a cgroup namespace): the mount is the group
 * then.
 */
#include "common/control_group.h"

#include <stdio.h>
#include <string.h>

#define LINE_LIMIT 4096

struct visitor {
    void (*visit)(void *context, const char *group);
    void *context;
};

bool control_group_read(const char *group, const char *name, char line[CONTROL_GROUP_LINE])
{
    char path[LINE_LIMIT + 32];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", group, name);
    file = fopen(path, "re");
    if (!file)
        return false;

    bool is_read = fgets(line, CONTROL_GROUP_LINE, file) != NULL;

    fclose(file);
    line[is_read ? strcspn(line, "\n") : 0] = '\0';
    return is_read;
}

/* The group at `path` below `root`, and its parents. */
static void visit_up_from(const char *root, const char *path, const struct visitor *visitor)
{
    char group[LINE_LIMIT];
    char *end = group;

    if ((size_t)snprintf(group, sizeof(group), "%s%s", root, path) >= sizeof(group))
        return;
    while (end) {
        visitor->visit(visitor->context, group);
        end = strrchr(group + strlen(root), '/');
        if (end)
            *end = '\0';
    }
}

static bool has_word(const char *list, const char *word)
{
    size_t size = strlen(word);

    for (; *list != '\0'; list += strcspn(list, ","), list += *list == ',') {
        if (strncmp(list, word, size) == 0 && (list[size] == ',' || list[size] == '\0'))
            return true;
    }
    return false;
}

/* A line of /proc/self/cgroup, "7:cpu,cpuacct:/group", or "0::/group" for version 2. */
static void visit_line(char *line, const char *mount, const char *controller,
                       const struct visitor *visitor)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    char root[LINE_LIMIT];

    if (!path)
        return;
    controllers++;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (controllers[0] == '\0') {
        visit_up_from(mount, path, visitor);
    } else if (has_word(controllers, controller)) {
        /* a link where more controllers share the tree */
        snprintf(root, sizeof(root), "%s/%s", mount, controller);
        visit_up_from(root, path, visitor);
    }
}

void control_group_each(const char *membership, const char *mount, const char *controller,
                        void (*visit)(void *context, const char *group), void *context)
{
    const struct visitor visitor = {visit, context};
    FILE *file = fopen(membership, "re");
    char line[LINE_LIMIT];

    if (!file)
        return;
    while (fgets(line, sizeof(line), file))
        visit_line(line, mount, controller, &visitor);
    fclose(file);
}
