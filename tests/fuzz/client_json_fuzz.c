/* Commands of clients as JSON: they come from whoever connects. */
#include "tests/fuzz/client_request_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_frame(CLIENT_JSON, data, size);
    return 0;
}
