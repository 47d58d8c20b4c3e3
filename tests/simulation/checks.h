/*
 * What must hold between processes: no title twice while they live, and in the end one owner for
 * each channel, an answer to each publish, one order, and nothing gone that was acknowledged.
 * simulation.c lists it all. Whatever does not hold fails the run.
 */
#ifndef TESTS_SIMULATION_CHECKS_H
#define TESTS_SIMULATION_CHECKS_H

#include "tests/simulation/world.h"

/* No epoch of a channel has two titles; at any time. */
void check_titles(void);

/* All that must hold once everybody has had time to settle. */
void check_end(void);

/* For whoever looks into a seed. */
void say_places(void);

#endif
