// SPDX-License-Identifier: Apache-2.0

// A Go program that computes in goroutines, allocates, and talks over a socket.
package main

import (
	"log"

	"porthole.test/deep/gobusy/inner"
)

func main() {
	for i := uint64(1); i < 3; i++ {
		go inner.Run(i)
	}
	go inner.Spawn()
	log.Fatal(inner.Talk("@gobusy"))
}
