#include "tests/bench/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/argument_value.h"
#include "tests/bench/clock.h"

#define CONNECTION_LIMIT 10000000

static const char help[] =
    "Usage: carillon-bench [options] ws://HOST[:PORT][/PATH][?QUERY]...\n"
    "       carillon-bench [options] wss://...\n"
    "\n"
    "Opens WebSocket connections to a server that sends every message to every client, publishes,\n"
    "and checks that each message reached each client once and in one order. Exits with 0 if so,\n"
    "with 1 if anything was lost, doubled, reordered or changed or a connection ended, with 2 if\n"
    "the command line is wrong. Clients take several URLs, of servers that send one another's\n"
    "messages on, in turn.\n"
    "\n"
    "Load:\n"
    "  -c, --clients N        connections, all of which receive (100)\n"
    "  -p, --publishers N     how many of them also publish, in turn (1)\n"
    "  -w, --window N         messages in flight: a next one is sent when one has reached every\n"
    "                         client (1)\n"
    "  -r, --rate N           messages a second instead of a window, whatever the server's pace\n"
    "  -s, --size BYTES       size of a message, at least 40; K and M are understood (64)\n"
    "  -d, --duration TIME    how long to measure: 500ms, 10s, 2m (10s)\n"
    "  -n, --messages N       measure so many messages instead of a duration\n"
    "      --channels N       channels, each with a load of its own that is as large as said "
    "above;\n"
    "                         {channel} in the URL stands for the number of each (1)\n"
    "      --warmup TIME      load before the measurement begins (1s)\n"
    "      --idle             publish nothing: open the connections, hold them for the duration\n"
    "      --accept           only open the connections: how many handshakes a second, at what "
    "cost\n"
    "      --filling KIND     letters, or records: names and numbers, as JSON has them, which "
    "do not\n"
    "                         compress to nothing (letters)\n"
    "      --protocol NAME    what is spoken inside of WebSocket: plain, where a message is a "
    "message;\n"
    "                         json or protobuf (Centrifugo's client protocol), mqtt, nats, "
    "socketio.\n"
    "                         Channels are called bench-1, bench-2, ... there (plain)\n"
    "      --deflate          ask for permessage-deflate; a server that does not compress fails\n"
    "Options that contradict each other, such as --window and --rate, are refused.\n"
    "\n"
    "Connections:\n"
    "      --connect-rate N   new connections a second; 0 is as fast as they are accepted (0)\n"
    "      --timeout TIME     give up when nothing happens for so long, at least 1s (10s)\n"
    "      --insecure         take any certificate of a wss:// server; else it must be for HOST, "
    "by\n"
    "                         an authority that OpenSSL trusts, or one in the file SSL_CERT_FILE\n"
    "\n"
    "Report:\n"
    "      --pid PID          process of the server, on this machine: report its processor time\n"
    "                         per delivery and its memory per connection; again for each further\n"
    "                         process, and the report is of them together\n"
    "  -j, --json             one JSON object instead of text\n"
    "  -q, --quiet            no progress line\n"
    "  -h, --help, --version\n"
    "\n"
    "Latency counts from the time at which a message was due: with --rate the time in the\n"
    "schedule, so that a server that stalls the sender looks no better for it. Every message that\n"
    "was due in the measured time counts, even if it arrives later.\n";

enum long_option {
    WARMUP = 256,
    IDLE,
    ACCEPT,
    FILLING,
    PROTOCOL,
    DEFLATE,
    CHANNELS,
    CONNECT_RATE,
    TIMEOUT,
    INSECURE,
    PID,
    VERSION,
};

static const struct option options[] = {
    {"clients", required_argument, NULL, 'c'},
    {"publishers", required_argument, NULL, 'p'},
    {"window", required_argument, NULL, 'w'},
    {"rate", required_argument, NULL, 'r'},
    {"size", required_argument, NULL, 's'},
    {"duration", required_argument, NULL, 'd'},
    {"messages", required_argument, NULL, 'n'},
    {"channels", required_argument, NULL, CHANNELS},
    {"warmup", required_argument, NULL, WARMUP},
    {"idle", no_argument, NULL, IDLE},
    {"accept", no_argument, NULL, ACCEPT},
    {"filling", required_argument, NULL, FILLING},
    {"protocol", required_argument, NULL, PROTOCOL},
    {"deflate", no_argument, NULL, DEFLATE},
    {"connect-rate", required_argument, NULL, CONNECT_RATE},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"insecure", no_argument, NULL, INSECURE},
    {"pid", required_argument, NULL, PID},
    {"json", no_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, VERSION},
    {0},
};

static int add_process(struct processes *processes, const char *text)
{
    uint64_t pid = 0;

    if (processes->count == PROCESS_LIMIT)
        return argument_complain("--pid", "too many of them");
    if (argument_read_number("--pid", text, 1, INT32_MAX, &pid))
        return -EINVAL;
    processes->pids[processes->count++] = (int)pid;
    return 0;
}

static int read_filling(const char *text, bool *has_records)
{
    *has_records = strcmp(text, "records") == 0;
    if (*has_records || strcmp(text, "letters") == 0)
        return 0;
    return argument_complain("--filling", "expected letters or records");
}

static int apply(struct arguments *arguments, int option, const char *text)
{
    switch (option) {
    case 'c':
        return argument_read_count("--clients", text, CONNECTION_LIMIT, &arguments->clients);
    case 'p':
        return argument_read_count("--publishers", text, 65535, &arguments->publishers);
    case 'w':
        return argument_read_count("--window", text, 1000000, &arguments->window);
    case 'r':
        return argument_read_rate("--rate", text, &arguments->rate);
    case 's':
        return argument_read_size("--size", text, &arguments->size);
    case 'd':
        return argument_read_time("--duration", text, 1, &arguments->duration_ns);
    case 'n':
        return argument_read_number("--messages", text, 1, UINT32_MAX, &arguments->messages);
    case CHANNELS:
        return argument_read_count("--channels", text, 100000, &arguments->channels);
    case WARMUP:
        return argument_read_time("--warmup", text, 0, &arguments->warmup_ns);
    case CONNECT_RATE:
        arguments->connect_rate = 0;
        return strcmp(text, "0") == 0
                   ? 0
                   : argument_read_rate("--connect-rate", text, &arguments->connect_rate);
    case TIMEOUT:
        return argument_read_time("--timeout", text, 1000, &arguments->timeout_ns);
    case PID:
        return add_process(&arguments->server, text);
    case INSECURE:
        arguments->is_insecure = true;
        return 0;
    case IDLE:
        arguments->is_idle = true;
        return 0;
    case ACCEPT:
        arguments->is_idle = true;
        arguments->is_accept = true;
        return 0;
    case FILLING:
        return read_filling(text, &arguments->has_records);
    case PROTOCOL:
        arguments->protocol = protocol_find(text);
        return arguments->protocol ? 0
                                   : argument_complain("--protocol", "expected " PROTOCOL_NAMES);
    case DEFLATE:
        arguments->is_deflated = true;
        return 0;
    case 'j':
        arguments->is_json = true;
        return 0;
    case 'q':
        arguments->is_quiet = true;
        return 0;
    default:
        return -EINVAL; /* getopt has complained */
    }
}

/* Of each pair one would silently go unheard. */
static const struct {
    int option;
    int other;
} exclusions[] = {
    {'w', 'r'},        {'n', 'd'},    {'p', IDLE},    {'w', IDLE},     {'r', IDLE},
    {'s', IDLE},       {'n', IDLE},   {WARMUP, IDLE}, {FILLING, IDLE}, {'p', ACCEPT},
    {'w', ACCEPT},     {'r', ACCEPT}, {'s', ACCEPT},  {'n', ACCEPT},   {WARMUP, ACCEPT},
    {FILLING, ACCEPT}, {'d', ACCEPT}, {IDLE, ACCEPT},
};

static const char *name_of(int value)
{
    const struct option *option = options;

    while (option->val != value)
        option++;
    return option->name;
}

static int refuse_contradictions(const bool given[VERSION + 1])
{
    for (size_t i = 0; i < sizeof(exclusions) / sizeof(exclusions[0]); i++) {
        int option = exclusions[i].option;
        int other = exclusions[i].other;

        if (given[option] && given[other]) {
            fprintf(stderr, "carillon-bench: --%s: cannot go with --%s\n", name_of(option),
                    name_of(other));
            return -EINVAL;
        }
    }
    return 0;
}

static int read_url(struct arguments *arguments, const char *text)
{
    struct server_url *url = &arguments->urls[arguments->url_count];
    const char *problem;

    if (server_url_parse(url, text, &problem))
        return argument_complain(text, problem);
    if (url->is_secure != arguments->urls[0].is_secure)
        return argument_complain(text, "expected ws:// for all, or wss://");
    if (arguments->channels > 1 && arguments->protocol == &protocol_plain &&
        !server_url_has_channel(url))
        return argument_complain(text, "expected {channel} where its number stands, as in "
                                       "ws://localhost:8000/?channel=load-{channel}");
    arguments->url_count++;
    return 0;
}

static int read_urls(struct arguments *arguments, int argc, char **argv)
{
    if (optind == argc)
        return argument_complain("URL",
                                 "expected one, such as ws://localhost:8000 (--help says more)");
    if (argc - optind > URL_LIMIT)
        return argument_complain("URL", "too many of them");
    for (int i = optind; i < argc; i++) {
        if (read_url(arguments, argv[i]))
            return -EINVAL;
    }
    return 0;
}

/* What only the whole command line shows. */
static int check(struct arguments *arguments, const bool given[VERSION + 1], int argc, char **argv)
{
    if (refuse_contradictions(given))
        return -EINVAL;
    if (arguments->publishers > arguments->clients)
        return argument_complain("--publishers", "cannot be more than --clients");
    if ((uint64_t)arguments->clients * arguments->channels > CONNECTION_LIMIT)
        return argument_complain("--channels", "too many connections in all");
    if (read_urls(arguments, argc, argv))
        return -EINVAL;
    if (arguments->is_insecure && !arguments->urls[0].is_secure)
        return argument_complain("--insecure", "means something for wss:// only");
    return 0;
}

enum arguments_outcome arguments_read(struct arguments *arguments, int argc, char **argv)
{
    bool given[VERSION + 1] = {false};
    int option;

    *arguments = (struct arguments){
        .channels = 1,
        .clients = 100,
        .publishers = 1,
        .window = 1,
        .size = 64,
        .duration_ns = 10 * CLOCK_SECOND_NS,
        .warmup_ns = CLOCK_SECOND_NS,
        .timeout_ns = 10 * CLOCK_SECOND_NS,
        .protocol = &protocol_plain,
    };
    while ((option = getopt_long(argc, argv, "c:p:w:r:s:d:n:jqh", options, NULL)) != -1) {
        if (option == 'h' || option == VERSION) {
            fputs(option == 'h' ? help : "carillon-bench " CARILLON_VERSION "\n", stdout);
            return ARGUMENTS_EXIT;
        }
        if (apply(arguments, option, optarg))
            return ARGUMENTS_BAD;
        given[option] = true;
    }
    return check(arguments, given, argc, argv) ? ARGUMENTS_BAD : ARGUMENTS_RUN;
}
