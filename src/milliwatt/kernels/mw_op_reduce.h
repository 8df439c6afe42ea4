/* Reductions, searches along an axis, norms, resizing: parameters and prototypes; see mw.h. */
#ifndef MW_OP_REDUCE_H
#define MW_OP_REDUCE_H

#include "mw_common.h"

#endif
