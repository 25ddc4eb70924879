/* One timer for pauses that are shorter than the loop's own clock ticks. */
#ifndef SANDBAR_PAUSE_TIMER_H
#define SANDBAR_PAUSE_TIMER_H

#include <stdbool.h>

/* Less than a second. One that runs already is left to run. False without kernel memory. */
bool pause_timer_arm(unsigned us);
/* True once after each time that it has run out. */
bool pause_timer_over(void);

#endif
