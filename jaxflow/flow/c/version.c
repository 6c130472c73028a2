/* All kernels, for the processors that the including file is for; it says what they are named. */

#include "decoupled.c"
#include "feedback.c"
#include "rounds.c"

const Kernels VERSION = {fly, frozen_outputs, follow, find_dooms, count, move};
