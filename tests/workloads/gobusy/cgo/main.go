// SPDX-License-Identifier: Apache-2.0

// A Go program that calls C, which calls Go.
package main

/*
#include <stdint.h>

extern uint64_t back_in_go(uint64_t);

static __attribute__((noinline)) uint64_t spin_in_c(uint64_t n)
{
    for (volatile int i = 0; i < 1000000; i++)
        n = n * 6364136223846793005u + 1442695040888963407u;
    return n;
}

static __attribute__((noinline)) uint64_t call_go(uint64_t n)
{
    return back_in_go(n) + 1;
}
*/
import "C"

import "porthole.test/deep/gobusy/inner"

//export back_in_go
func back_in_go(n C.uint64_t) C.uint64_t {
	w := &inner.Worker{}
	w.Heavy()
	return n
}

//go:noinline
func callC(n C.uint64_t) C.uint64_t { return C.spin_in_c(n) }

//go:noinline
func callBack(n C.uint64_t) C.uint64_t { return C.call_go(n) }

func main() {
	n := C.uint64_t(1)
	for {
		n = callC(n)
		n = callBack(n)
	}
}
