/* The load generator's protocols: what they say, and what they make of what a server says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/bench/protocol.h"

#define BYTES(text) (const unsigned char *)(text), sizeof(text) - 1

/* All of `data` is one element. */
static void assert_element(const struct protocol *protocol, const unsigned char *data, size_t size,
                           enum element_kind kind, const char *content)
{
    struct element element;

    assert_int_equal(protocol->read(data, size, &element), size);
    assert_int_equal(element.kind, kind);
    if (!content)
        return;
    assert_int_equal(element.size, strlen(content));
    assert_memory_equal(element.data, content, element.size);
}

static void assert_written(struct buffer *output, const unsigned char *expected, size_t size)
{
    assert_int_equal(output->size, size);
    assert_memory_equal(output->data, expected, size);
    buffer_deinit(output);
}

static void protocols_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(protocol_find("plain"), &protocol_plain);
    assert_ptr_equal(protocol_find("socketio"), &protocol_socketio);
    assert_null(protocol_find("smtp"));
}

static void plain_message_is_the_payload(void **state)
{
    struct buffer output = {0};

    (void)state;
    assert_null(protocol_plain.greet);
    protocol_plain.publish(&output, "c", "hi", 2);
    assert_written(&output, BYTES("hi"));
    assert_element(&protocol_plain, BYTES("hi"), ELEMENT_MESSAGE, "hi");
}

static void json_is_spoken(void **state)
{
    const struct protocol *json = &protocol_json;
    struct buffer output = {0};

    (void)state;
    json->greet(&output, "c");
    assert_written(&output, BYTES("{\"id\":1,\"connect\":{}}\n"
                                  "{\"id\":2,\"subscribe\":{\"channel\":\"c\"}}"));
    json->publish(&output, "c", "hi", 2);
    assert_written(&output, BYTES("{\"id\":3,\"publish\":{\"channel\":\"c\",\"data\":\"hi\"}}"));
    assert_element(json, BYTES("{\"id\":1,\"connect\":{\"client\":\"x\"}}\n"), ELEMENT_OTHER, NULL);
    assert_element(json, BYTES("{\"id\":2,\"subscribe\":{}}"), ELEMENT_READY, NULL);
    assert_element(json, BYTES("{\"id\":3,\"publish\":{}}"), ELEMENT_OTHER, NULL);
    assert_element(json, BYTES("{}"), ELEMENT_PING, "{}");
    assert_element(json, BYTES("{\"id\":2,\"error\":{\"code\":103}}"), ELEMENT_REFUSAL,
                   "{\"id\":2,\"error\":{\"code\":103}}");
    assert_element(json,
                   BYTES("{\"push\":{\"channel\":\"c\",\"pub\":{\"info\":{\"client\":\"x\"},"
                         "\"data\":\"hi\",\"offset\":1}}}\n"),
                   ELEMENT_MESSAGE, "hi");
    assert_element(json, BYTES("{\"push\":{\"channel\":\"c\",\"join\":{}}}"), ELEMENT_OTHER, NULL);
    assert_element(json, BYTES("{\"push\":{\"pub\":{\"data\":\"hi"), ELEMENT_OTHER, NULL);
}

static void json_replies_are_read_line_by_line(void **state)
{
    static const unsigned char lines[] = "{\"id\":2,\"subscribe\":{}}\n{}";
    struct element element;
    ssize_t used = protocol_json.read(lines, sizeof(lines) - 1, &element);

    (void)state;
    assert_int_equal(used, sizeof(lines) - 1 - 2);
    assert_int_equal(element.kind, ELEMENT_READY);
    assert_element(&protocol_json, lines + used, 2, ELEMENT_PING, "{}");
}

static void protobuf_is_spoken(void **state)
{
    const struct protocol *protobuf = &protocol_protobuf;
    struct element element;
    struct buffer output = {0};

    (void)state;
    protobuf->greet(&output, "c");
    assert_written(&output, BYTES("\x04\x08\x01\x22\x00"
                                  "\x07\x08\x02\x2a\x03\x0a\x01"
                                  "c"));
    protobuf->publish(&output, "c", "hi", 2);
    assert_written(&output, BYTES("\x0b\x08\x03\x3a\x07\x0a\x01"
                                  "c\x12\x02hi"));
    assert_element(protobuf, BYTES("\x04\x08\x02\x32\x00"), ELEMENT_READY, NULL);
    assert_element(protobuf, BYTES("\x00"), ELEMENT_PING, NULL);
    assert_element(protobuf, BYTES("\x04\x08\x02\x12\x00"), ELEMENT_REFUSAL, "");
    assert_element(protobuf,
                   BYTES("\x0b\x22\x09\x12\x01"
                         "c\x22\x04\x22\x02hi"),
                   ELEMENT_MESSAGE, "hi");
    assert_int_equal(protobuf->read(BYTES("\x05\x22\x02"), &element), -EPROTO);
    assert_int_equal(protobuf->read(BYTES("\x02\x22\x02"), &element), -EPROTO);
}

static void mqtt_is_spoken(void **state)
{
    const struct protocol *mqtt = &protocol_mqtt;
    struct element element;
    struct buffer output = {0};

    (void)state;
    mqtt->greet(&output, "c");
    assert_written(&output, BYTES("\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"
                                  "\x82\x06\0\x01\0\x01"
                                  "c\0"));
    mqtt->publish(&output, "c", "hi", 2);
    assert_written(&output, BYTES("\x30\x05\0\x01"
                                  "chi"));
    assert_element(mqtt, BYTES("\x20\x02\0\0"), ELEMENT_OTHER, NULL);
    assert_element(mqtt, BYTES("\x20\x02\0\x05"), ELEMENT_REFUSAL, "");
    assert_element(mqtt, BYTES("\x90\x03\0\x01\0"), ELEMENT_READY, NULL);
    assert_element(mqtt, BYTES("\x90\x03\0\x01\x80"), ELEMENT_REFUSAL, "");
    assert_element(mqtt,
                   BYTES("\x30\x05\0\x01"
                         "chi"),
                   ELEMENT_MESSAGE, "hi");
    assert_int_equal(mqtt->read(BYTES("\x30\x02\0\x01"), &element), -EPROTO);
    assert_int_equal(mqtt->read(BYTES("\x30\xff\xff\xff\xff\x01"), &element), -EPROTO);
}

static void nats_is_spoken(void **state)
{
    const struct protocol *nats = &protocol_nats;
    struct element element;
    struct buffer output = {0};

    (void)state;
    nats->greet(&output, "c");
    assert_written(&output, BYTES("CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true}"
                                  "\r\nSUB c 1\r\nPING\r\n"));
    nats->publish(&output, "c", "hi", 2);
    assert_written(&output, BYTES("PUB c 2\r\nhi\r\n"));
    assert_element(nats, BYTES("INFO {}\r\n"), ELEMENT_OTHER, NULL);
    assert_element(nats, BYTES("PONG\r\n"), ELEMENT_READY, NULL);
    assert_element(nats, BYTES("PING\r\n"), ELEMENT_PING, "PONG\r\n");
    assert_element(nats, BYTES("-ERR 'x'\r\n"), ELEMENT_REFUSAL, "-ERR 'x'");
    assert_element(nats, BYTES("MSG c 1 2\r\nhi\r\n"), ELEMENT_MESSAGE, "hi");
    assert_element(nats, BYTES("MSG c 1 0\r\n\r\n"), ELEMENT_MESSAGE, "");
    assert_int_equal(nats->read(BYTES("MSG c 1 2\r\nhim"), &element), 0);
    assert_int_equal(nats->read(BYTES("MSG c 1 2\r\nhim\r"), &element), -EPROTO);
    assert_int_equal(nats->read(BYTES("MSG c 1 99999999999999999999\r\n"), &element), -EPROTO);
    assert_int_equal(nats->read(BYTES("PING\n"), &element), -EPROTO);
}

static void stream_waits_for_whole_elements(void **state)
{
    static const struct {
        const struct protocol *protocol;
        const char *bytes;
        size_t size;
    } wholes[] = {
        {&protocol_mqtt,
         "\x30\x05\0\x01"
         "chi",
         7},
        {&protocol_nats, "MSG c 1 2\r\nhi\r\n", 15},
    };
    struct element element;

    (void)state;
    for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        const unsigned char *bytes = (const unsigned char *)wholes[i].bytes;

        for (size_t size = 1; size < wholes[i].size; size++)
            assert_int_equal(wholes[i].protocol->read(bytes, size, &element), 0);
        assert_int_equal(wholes[i].protocol->read(bytes, wholes[i].size, &element), wholes[i].size);
    }
}

static void socketio_is_spoken(void **state)
{
    const struct protocol *socketio = &protocol_socketio;
    struct buffer output = {0};

    (void)state;
    socketio->greet(&output, "c");
    assert_written(&output, BYTES("40"));
    socketio->publish(&output, "c", "hi", 2);
    assert_written(&output, BYTES("42[\"m\",\"hi\"]"));
    assert_element(socketio, BYTES("0{\"sid\":\"x\"}"), ELEMENT_OTHER, NULL);
    assert_element(socketio, BYTES("40{\"sid\":\"y\"}"), ELEMENT_READY, NULL);
    assert_element(socketio, BYTES("2"), ELEMENT_PING, "3");
    assert_element(socketio, BYTES("44{}"), ELEMENT_REFUSAL, "44{}");
    assert_element(socketio, BYTES("42[\"m\",\"hi\"]"), ELEMENT_MESSAGE, "hi");
    assert_element(socketio, BYTES("42[\"m\",\""), ELEMENT_OTHER, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocols_are_found_by_name),
        cmocka_unit_test(plain_message_is_the_payload),
        cmocka_unit_test(json_is_spoken),
        cmocka_unit_test(json_replies_are_read_line_by_line),
        cmocka_unit_test(protobuf_is_spoken),
        cmocka_unit_test(mqtt_is_spoken),
        cmocka_unit_test(nats_is_spoken),
        cmocka_unit_test(stream_waits_for_whole_elements),
        cmocka_unit_test(socketio_is_spoken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
