// The oneTBB backend. It is part of libnsameta, so that there is always a backend.
#pragma once

#include "core/backend.h"

extern "C" const nsameta_backend* nsameta_cpu_backend(void);
