/* Functions of XLA programs. */

#ifndef CALLS_H
#define CALLS_H

#include "xla.h"

/* `_frozen_outputs` of feedback.py in one piece: outputs of all runs at points in time. */
XlaError *frozen_outputs_call(XlaCall *call);

/* `_follow` of feedback.py in one piece: the neurons of all runs at the end. */
XlaError *follow_call(XlaCall *call);

/* `_dooms`, `_tally` and `_moved` of decoupled.py, likewise. */
XlaError *find_dooms_call(XlaCall *call);
XlaError *count_call(XlaCall *call);
XlaError *move_call(XlaCall *call);

#endif
