/* Recurrent layers: SVDF and LSTM: parameters and prototypes; see mw.h. */
#ifndef MW_OP_RECURRENT_H
#define MW_OP_RECURRENT_H

#include "mw_common.h"

#endif
