/* Elementwise operators beyond add, sub and mul: math, comparison, logic, choice: parameters and prototypes; see mw.h. */
#ifndef MW_OP_POINTWISE_H
#define MW_OP_POINTWISE_H

#include "mw_common.h"

#endif
