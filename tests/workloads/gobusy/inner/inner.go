// SPDX-License-Identifier: Apache-2.0

// Package inner is what the Go workloads spend their time in: known shares under known names.
package inner

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// Sink keeps results alive.
var Sink atomic.Uint64

type Worker struct {
	seed uint64
	tree *node
}

type node struct {
	left, right *node
	value       [4]uint64
}

//go:noinline
func churn(seed uint64, rounds int) uint64 {
	for i := 0; i < rounds; i++ {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
	}
	return seed
}

// Heavy does three times as much as Light.
//
//go:noinline
func (w *Worker) Heavy() { w.seed = churn(w.seed, 300000) + 1 }

//go:noinline
func (w *Worker) Light() { w.seed = churn(w.seed, 100000) + 1 }

// Map is generic, so that its name has type arguments.
//
//go:noinline
func Map[T any, U any](in []T, f func(T) U) []U {
	out := make([]U, 0, len(in))
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}

func grow(depth int) *node {
	if depth == 0 {
		return nil
	}
	return &node{left: grow(depth - 1), right: grow(depth - 1)}
}

// Garbage makes work for the collector.
func (w *Worker) Garbage() {
	w.tree = grow(12)
	words := Map([]int{1, 2, 3, 4, 5, 6, 7, 8}, func(i int) string { return fmt.Sprint(i) })
	Sink.Add(uint64(len(words)))
}

// Deep needs a new and bigger stack each time that it runs in a fresh goroutine.
func Deep(depth int) uint64 {
	var room [256]byte
	if depth == 0 {
		return uint64(room[0])
	}
	return Deep(depth-1) + uint64(room[depth%256])
}

// Run computes for ever.
func Run(seed uint64) {
	w := &Worker{seed: seed}
	for {
		w.Heavy()
		w.Light()
		w.Garbage()
		Sink.Add(w.seed)
	}
}

// Spawn starts short goroutines for ever.
func Spawn() {
	done := make(chan uint64)
	for {
		go func() { done <- Deep(16) }()
		Sink.Add(<-done)
	}
}

// Talk sends bytes over a socket to itself.
func Talk(path string) error {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() {
		conn, err := net.Dial("unix", path)
		for buffer := make([]byte, 512); err == nil; {
			if _, err = conn.Write(buffer); err == nil {
				_, err = io.ReadFull(conn, buffer)
			}
		}
	}()
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, conn)
	return err
}
