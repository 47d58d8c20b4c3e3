#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/option.h"

/* A program whose config file may have sections such as [room hall]. */

struct room {
    bool open;
    uint64_t seats;
    uint64_t minutes;
    const char *keeper;
    struct option_list guests;
};

struct values {
    const char *house;
    struct room room;
    struct option_sections rooms;
};

/* clang-format off: a row is an option */
static const struct option options[] = {
    {.name = "house",
     .type = OPTION_TEXT,
     .offset = offsetof(struct values, house),
     .fallback = "inn",
     .argument = "TEXT",
     .group = "House",
     .help = "Which."},
    {.name = "open",
     .type = OPTION_FLAG,
     .offset = offsetof(struct values, room.open),
     .fallback = "on",
     .help = "For all.",
     .in_section = true,
     .section_fallback = "off"},
    {.name = "seats",
     .type = OPTION_NUMBER,
     .offset = offsetof(struct values, room.seats),
     .fallback = "20",
     .argument = "N",
     .maximum = 100,
     .help = "How many.",
     .in_section = true,
     .section_fallback = "10"},
    {.name = "minutes",
     .type = OPTION_NUMBER,
     .is_fixed = true,
     .offset = offsetof(struct values, room.minutes),
     .fallback = "60",
     .argument = "N",
     .help = "How long.",
     .in_section = true},
    {.name = "keeper",
     .type = OPTION_TEXT,
     .offset = offsetof(struct values, room.keeper),
     .fallback = "ann",
     .argument = "TEXT",
     .help = "Whose.",
     .in_section = true},
    {.name = "guests",
     .type = OPTION_LIST,
     .offset = offsetof(struct values, room.guests),
     .fallback = "*",
     .argument = "NAME,...",
     .help = "Who.",
     .in_section = true},
};
/* clang-format on */

static const struct option_section_kind rooms = {
    .name = "room",
    .limit = 3,
    .sections_offset = offsetof(struct values, rooms),
    .values_offset = offsetof(struct values, room),
    .values_size = sizeof(struct room),
};

static const struct option_program program = {
    .name = "program",
    .summary = "Does nothing.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .section = &rooms,
};

static struct values values;
static char error[OPTION_ERROR_LIMIT];
static char reports[4096];
static char path[] = "/tmp/option_section_test_XXXXXX";
static char *none[] = {NULL};

static int create_config(void **state)
{
    int file = mkstemp(path);

    (void)state;
    return file < 0 ? -1 : close(file);
}

static int remove_config(void **state)
{
    (void)state;
    options_free(&program, &values);
    return unlink(path);
}

static void write_config(const char *text)
{
    int file = open(path, O_WRONLY | O_TRUNC);

    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    options_free(&program, &values);
    memset(&values, 0, sizeof(values));
}

static enum option_outcome load(const char *text, char **environment)
{
    write_config(text);
    return options_load(&program, &values, 3, (char *[]){"program", "--config", path, NULL},
                        environment, error);
}

static void load_good(const char *text)
{
    if (load(text, none) != OPTION_RUN)
        fail_msg("refused: %s", error);
}

static void assert_bad_line(const char *text, int line, const char *message)
{
    char expected[OPTION_ERROR_LIMIT];

    snprintf(expected, sizeof(expected), "%s:%d: %s", path, line, message);
    assert_int_equal(load(text, none), OPTION_BAD);
    assert_string_equal(error, expected);
}

static const struct room *room(size_t index, const char *name)
{
    assert_true(index < values.rooms.count);
    assert_string_equal(values.rooms.items[index]->name, name);
    return values.rooms.items[index]->values;
}

static void section_has_defaults_of_its_own_or_what_stands_at_the_top(void **state)
{
    (void)state;
    load_good("minutes = 30\nkeeper = bob\nguests = cid, dan\n[room hall]\n[room attic]\nseats=5");
    assert_int_equal(values.rooms.count, 2);
    assert_false(room(0, "hall")->open);
    assert_int_equal(room(0, "hall")->seats, 10);
    assert_int_equal(room(0, "hall")->minutes, 30);
    assert_string_equal(room(0, "hall")->keeper, "bob");
    assert_int_equal(room(0, "hall")->guests.count, 2);
    assert_int_equal(room(1, "attic")->seats, 5);
    assert_true(values.room.open);
    assert_int_equal(values.room.seats, 20);
}

static void what_a_section_says_is_for_it_alone(void **state)
{
    (void)state;
    load_good("[room hall]\nopen = on\nseats = 7\nminutes = 1\nkeeper = eve\n"
              "guests = fay\nguests = gil\n[room attic]\n");
    assert_true(room(0, "hall")->open);
    assert_int_equal(room(0, "hall")->minutes, 1);
    assert_string_equal(room(0, "hall")->keeper, "eve");
    assert_int_equal(room(0, "hall")->guests.count, 2);
    assert_string_equal(room(0, "hall")->guests.items[1], "gil");
    assert_int_equal(room(1, "attic")->minutes, 60);
    assert_string_equal(values.room.keeper, "ann");
}

/* The command line is read after the file, and is the top too. */
static void section_takes_from_the_strongest_source_of_the_top(void **state)
{
    (void)state;
    char *environment[] = {"CARILLON_MINUTES=8", NULL};

    assert_int_equal(load("minutes = 30\n[room hall]\n", environment), OPTION_RUN);
    assert_int_equal(room(0, "hall")->minutes, 8);
}

static void section_takes_what_is_kept_of_a_fixed_option(void **state)
{
    (void)state;
    struct values running = {.room = {.minutes = 60}};
    char names[OPTION_NAMES_LIMIT];

    load_good("minutes = 30\n[room hall]\n[room attic]\nminutes = 30\n");
    options_keep_fixed(&program, &values, &running, names);
    assert_string_equal(names, "minutes");
    assert_int_equal(room(0, "hall")->minutes, 60);
    assert_int_equal(room(1, "attic")->minutes, 30);
}

static void heads_are_read_with_blanks_and_comments(void **state)
{
    (void)state;
    load_good("\xef\xbb\xbf[ room \t hall ] # large\r\nseats = 1\r\n"
              "[room A.b_c-9];x\nseats = 2\n");
    assert_int_equal(room(0, "hall")->seats, 1);
    assert_int_equal(room(1, "A.b_c-9")->seats, 2);
    load_good("  [room hall]\nguests = a,\n  [b]\n[room attic]\n");
    assert_int_equal(room(0, "hall")->guests.count, 2);
    assert_string_equal(room(0, "hall")->guests.items[1], "[b]");
    assert_int_equal(values.rooms.count, 2);
}

/* What is indented behind a head goes on with nothing. */
static void section_ends_the_setting_before_it(void **state)
{
    (void)state;
    load_good("guests = a\n[room hall]\n  seats = 3\n");
    assert_int_equal(values.room.guests.count, 1);
    assert_int_equal(room(0, "hall")->seats, 3);
}

static void bad_heads_are_refused(void **state)
{
    (void)state;
    static const char *const open_ended[] = {"[room hall", "[", "[room hall] seats = 1",
                                             "[room hall]]"};
    static const char *const unknown[] = {"", "room", "rooms hall", "roomhall", "Room hall"};
    static const char *const names[] = {
        "a b",      "a:b", "a#",
        "\xc3\xa4", "a/b", "12345678901234567890123456789012345678901234567890123456789012345"};
    char text[256];
    char message[256];

    for (size_t i = 0; i < sizeof(open_ended) / sizeof(open_ended[0]); i++)
        assert_bad_line(open_ended[i], 1, "expected a section such as [name], alone in its line");
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        snprintf(text, sizeof(text), "\n[%s]\nseats = 1\n", unknown[i]);
        snprintf(message, sizeof(message), "[%s]: unknown section; expected [room NAME]",
                 unknown[i]);
        assert_bad_line(text, 2, message);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(text, sizeof(text), "[room %s]", names[i]);
        snprintf(message, sizeof(message),
                 "[room %s]: the name of a section is 1 to 64 letters, digits, _, . or -",
                 names[i]);
        assert_bad_line(text, 1, message);
    }
    load_good("[room 1234567890123456789012345678901234567890123456789012345678901234]");
}

static void section_stands_once_and_there_are_only_so_many(void **state)
{
    (void)state;
    assert_bad_line("[room hall]\nseats = 1\n[room attic]\n[room hall]\n", 4,
                    "[room hall]: the section began in line 1 already");
    assert_bad_line("[room a]\n[room b]\n[room c]\n[room d]\n", 4,
                    "[room d]: there are more than 3 sections");
}

static void settings_of_a_section_are_checked_as_others(void **state)
{
    (void)state;
    assert_bad_line("[room hall]\nseat = 1\n", 2,
                    "seat: unknown option; did you mean seats? (--help lists all)");
    assert_bad_line("[room hall]\nhous = 1\n", 2, "hous: unknown option (--help lists all)");
    assert_bad_line("[room hall]\nhouse = inn\n", 2,
                    "house: stands before the first section, not in one");
    assert_bad_line("[room hall]\nseats = many\n", 2, "seats: \"many\" is not a whole number");
    assert_bad_line("[room hall]\nseats = 101\n", 2, "seats: must be at most 100");
    assert_bad_line("[room hall]\nopen = maybe\n", 2, "open: \"maybe\" is not true or false");
    assert_bad_line("[room hall]\nseats = 1\nseats = 2\n", 3,
                    "seats: is set twice in this section");
    assert_bad_line("[room hall]\nseats\n", 2, "expected name = value");
}

static void note(void *context, const char *problem)
{
    size_t used = strlen(reports);

    (void)context;
    snprintf(reports + used, sizeof(reports) - used, "%s\n", problem);
}

static void check_tells_everything_that_is_wrong_in_sections(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "1: open: \"x\" is not true or false",
        "3: seats: must be at most 100",
        "4: [room hall]: the section began in line 2 already",
        "6: house: stands before the first section, not in one",
        "7: [hall]: unknown section; expected [room NAME]",
        "9: [room a b]: the name of a section is 1 to 64 letters, digits, _, . or -",
        "10: keepr: unknown option; did you mean keeper? (--help lists all)",
    };
    char lines[4096] = "";

    write_config("open = x\n[room hall]\nseats = 101\n[room hall]\nseats = 1\nhouse = inn\n"
                 "[hall]\nseats = many\n[room a b]\nkeepr = x\n");
    reports[0] = '\0';
    assert_int_equal(options_check(&program, &values, 3,
                                   (char *[]){"program", "--config", path, NULL}, none, note, NULL),
                     OPTION_RUN);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        size_t used = strlen(lines);

        snprintf(lines + used, sizeof(lines) - used, "%s:%s\n", path, expected[i]);
    }
    assert_string_equal(reports, lines);
    assert_int_equal(room(0, "hall")->seats, 1);
}

static void sections_are_in_the_file_alone(void **state)
{
    (void)state;
    char *arguments[] = {"program", "[room hall]", NULL};

    write_config("");
    assert_int_equal(options_load(&program, &values, 2, arguments, none, error), OPTION_BAD);
    assert_string_equal(error,
                        "\"[room hall]\": expected an option such as --listen (--help lists all)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(section_has_defaults_of_its_own_or_what_stands_at_the_top),
        cmocka_unit_test(what_a_section_says_is_for_it_alone),
        cmocka_unit_test(section_takes_from_the_strongest_source_of_the_top),
        cmocka_unit_test(section_takes_what_is_kept_of_a_fixed_option),
        cmocka_unit_test(heads_are_read_with_blanks_and_comments),
        cmocka_unit_test(section_ends_the_setting_before_it),
        cmocka_unit_test(bad_heads_are_refused),
        cmocka_unit_test(section_stands_once_and_there_are_only_so_many),
        cmocka_unit_test(settings_of_a_section_are_checked_as_others),
        cmocka_unit_test(check_tells_everything_that_is_wrong_in_sections),
        cmocka_unit_test(sections_are_in_the_file_alone),
    };

    return cmocka_run_group_tests_name("option_section", tests, create_config, remove_config);
}
