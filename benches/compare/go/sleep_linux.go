// Sleeps of a thread, for the schedule: those of a goroutine are coarser.
package main

import (
	"syscall"
	"time"
)

// sleepExactly keeps the system from adding up to 50 µs to each sleep of this thread.
func sleepExactly() {
	const setTimerSlack = 29
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0); errno != 0 {
		fail(errno)
	}
}

func sleep(d time.Duration) {
	left := syscall.NsecToTimespec(d.Nanoseconds())
	_ = syscall.Nanosleep(&left, nil)
}
