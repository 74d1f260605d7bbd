//go:build !linux

// Sleeps for the schedule, where the system has no finer ones.
package main

import "time"

func sleepExactly() {}

func sleep(d time.Duration) { time.Sleep(d) }
