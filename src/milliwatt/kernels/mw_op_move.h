/* Operators that move values: slices, gathers, broadcasts, mirrors: parameters and prototypes; see mw.h. */
#ifndef MW_OP_MOVE_H
#define MW_OP_MOVE_H

#include "mw_common.h"

#endif
