/*
 * What goes wrong in a run, and the traffic that goes on all the while. In a mild schedule one
 * thing goes wrong after the other, each when all is well again; otherwise they come at any time,
 * and several at once.
 */
#ifndef TESTS_SIMULATION_FAULTS_H
#define TESTS_SIMULATION_FAULTS_H

#include "tests/simulation/world.h"

/* Decides what kind of run this is, how many routers there are, and what goes wrong when. Comes
 * before everything else. */
void plan_run(void);

/* A gateway publishes, and will again until the faults end. An act (events.h). */
void do_publish(uint64_t gateway);

#endif
