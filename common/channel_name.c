#include "common/channel_name.h"

#include "common/utf8.h"

static bool is_control(const unsigned char *at, size_t left)
{
    if (at[0] < 0x20 || at[0] == 0x7f)
        return true;
    /* U+0080 to U+009F, the C1 controls, in UTF-8. */
    return at[0] == 0xc2 && left > 1 && at[1] < 0xa0;
}

bool channel_name_is_valid(const char *name, size_t name_size)
{
    const unsigned char *bytes = (const unsigned char *)name;

    if (name_size == 0 || name_size > CHANNEL_NAME_LIMIT)
        return false;
    for (size_t i = 0; i < name_size; i++) {
        if (is_control(bytes + i, name_size - i))
            return false;
    }
    return utf8_is_valid(bytes, name_size);
}

bool channel_name_is_on_bus(const char *name, size_t name_size)
{
    if (name_size > 1 && name_size <= CHANNEL_NAME_LIMIT && name[0] == CHANNEL_NAME_INTERNAL)
        return channel_name_is_valid(name + 1, name_size - 1);
    return channel_name_is_valid(name, name_size);
}
