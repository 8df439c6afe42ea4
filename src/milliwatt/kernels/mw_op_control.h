/* State, operators of several results, control flow: parameters and prototypes; see mw.h. */
#ifndef MW_OP_CONTROL_H
#define MW_OP_CONTROL_H

#include "mw_common.h"

#endif
