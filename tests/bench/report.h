/* What carillon-bench says at the end, as text or as one JSON object. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "tests/bench/load.h"

void report_text(FILE *file, const struct arguments *arguments, const struct load_result *result);
void report_json(FILE *file, const struct arguments *arguments, const struct load_result *result);

#endif
