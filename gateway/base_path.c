#include "gateway/base_path.h"

#include <stddef.h>
#include <string.h>

static const char part_characters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

static bool is_part(const char *text, size_t size)
{
    bool is_dots = (size == 1 && text[0] == '.') || (size == 2 && strncmp(text, "..", 2) == 0);

    return size > 0 && !is_dots;
}

bool base_path_is_valid(const char *base)
{
    if (strcmp(base, "/") == 0)
        return true;
    do {
        if (*base++ != '/')
            return false;

        size_t size = strspn(base, part_characters);

        if (!is_part(base, size))
            return false;
        base += size;
    } while (*base != '\0');
    return true;
}

const char *base_path_strip(const char *base, const char *path)
{
    size_t size = strcmp(base, "/") == 0 ? 0 : strlen(base);

    if (strncmp(path, base, size) != 0 || (path[size] != '/' && path[size] != '\0'))
        return NULL;
    return path + size;
}
