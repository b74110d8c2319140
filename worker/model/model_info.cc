#include "worker/model/model_info.h"
