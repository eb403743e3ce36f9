// The headers of all cells; a cell in cells.def has its line here.
#include "elman.h"
#include "gru.h"
#include "lstm.h"
#include "relu.h"
#include "slstm.h"
