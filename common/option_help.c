/*
 * The help is for a person in a terminal of 80 columns: options under headings, each sentence
 * wrapped and indented below its option, the default behind it. It comes from the table alone, so
 * that it cannot lag behind the program.
 */
#include "common/option_help.h"

#include <string.h>

#define WIDTH  79
#define INDENT 6

static void print_wrapped(FILE *output, const char *text, int indent, int column)
{
    while (*text != '\0') {
        int word = (int)strcspn(text, " ");

        if (column > indent && column + 1 + word > WIDTH) {
            fprintf(output, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', output);
            column++;
        }
        fprintf(output, "%.*s", word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
}

static void print_option(const struct option *option, FILE *output)
{
    char fallback[128] = "";

    if (option->group)
        fprintf(output, "\n%s:\n", option->group);
    if (option->type == OPTION_FLAG)
        fprintf(output, "  --[no-]%s\n", option->name);
    else
        fprintf(output, "  --%s %s\n", option->name, option->argument);
    if (option->fallback && option->fallback[0] != '\0')
        snprintf(fallback, sizeof(fallback), " [%s]", option->fallback);

    char text[1024];

    snprintf(text, sizeof(text), "%s%s%s", option->help, fallback,
             option->is_fixed ? " (restart)" : "");
    fprintf(output, "%*s", INDENT, "");
    print_wrapped(output, text, INDENT, INDENT);
    fputc('\n', output);
}

/* What these options are was said above; here are their defaults. */
static void print_section(const struct option_program *program, FILE *output)
{
    fprintf(output, "\nIn a section [%s NAME] of the config file:\n", program->section->name);
    for (size_t i = 0; i < program->option_count; i++) {
        const struct option *option = &program->options[i];
        const char *fallback = option->section_fallback;

        if (option->in_section)
            fprintf(output, "  %s = %s [%s]\n", option->name,
                    option->type == OPTION_FLAG ? "on|off" : option->argument,
                    fallback ? fallback : "as at the top");
    }
}

static bool has_fixed_options(const struct option_program *program)
{
    for (size_t i = 0; i < program->option_count; i++) {
        if (program->options[i].is_fixed)
            return true;
    }
    return false;
}

void option_help_print(const struct option_program *program, FILE *output)
{
    fprintf(output, "Usage: %s [options]\n\n", program->name);
    print_wrapped(output, program->summary, 0, 0);
    fputs("\n", output);
    for (size_t i = 0; i < program->option_count; i++)
        print_option(&program->options[i], output);
    if (program->section)
        print_section(program, output);
    fputs("\nGeneral:\n"
          "  --config FILE\n"
          "      A file of lines such as \"max-message-size = 64K\"; # starts a comment.\n"
          "  --health\n"
          "      Asks the program that runs with these options whether it is alive, and\n"
          "      exits with 0 or 1.\n"
          "  --check-config\n"
          "      Says what is wrong with the configuration, a line for each thing, and does\n"
          "      not start: exit 0 or 2.\n"
          "  --help\n"
          "  --version\n"
          "\n",
          output);
    print_wrapped(output,
                  "Each option can also be set in the environment, --send-queue-limit as "
                  "CARILLON_SEND_QUEUE_LIMIT, and in the config file. The command line beats the "
                  "environment, which beats the file. Sizes take K, M, G; times take ms, s, m, h.",
                  0, 0);
    fputc('\n', output);
    if (!has_fixed_options(program))
        return;
    fputc('\n', output);
    print_wrapped(
        output,
        "On SIGHUP all of these are read again. Options marked (restart) keep their value "
        "until the program is started anew.",
        0, 0);
    fputc('\n', output);
}
