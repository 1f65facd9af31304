/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this build is called: the release, and the commit where it is not exactly that.
 */
#pragma once

extern const char porthole_version[];
