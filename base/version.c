/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

const char porthole_version[] = PORTHOLE_VERSION;
