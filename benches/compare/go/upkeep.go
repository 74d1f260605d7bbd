// Requests on a fixed schedule, and what clients cost at rest, and how they begin and begin again.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A request waits for no other one. Its time counts from when it was due.
func (j job) paced(nc *nats.Conn) done {
	runtime.LockOSThread()
	sleepExactly()
	payload := j.bytes()
	times := make([]int64, j.messages)
	interval := time.Second / time.Duration(j.rate)
	var asked sync.WaitGroup
	asked.Add(j.messages)
	began := time.Now()
	for number := range j.messages {
		due := began.Add(interval * time.Duration(number))
		if early := time.Until(due); early > 0 {
			sleep(early)
		}
		go func() {
			defer asked.Done()
			_, err := nc.Request(service, payload, patience)
			check(err)
			times[number] = time.Since(due).Nanoseconds()
		}()
	}
	asked.Wait()
	return done{times: times}
}

func (j job) subscribeIdly(nc *nats.Conn, number int) {
	_, err := nc.Subscribe(idle+strconv.Itoa(number), func(*nats.Msg) {})
	check(err)
}

// grow measures the memory for each of many.
func (j job) grow(one func(int), end func()) done {
	before := resident()
	for number := range j.messages {
		one(number)
	}
	end()
	time.Sleep(rest)
	return done{bytes: (resident() - before) / float64(j.messages)}
}

func (j job) connects() done {
	times := make([]int64, 0, j.messages)
	for range j.messages {
		began := time.Now()
		nc := j.connect()
		subscription, err := nc.SubscribeSync(subject)
		check(err)
		_, err = subscription.NextMsg(patience)
		check(err)
		times = append(times, time.Since(began).Nanoseconds())
		nc.Close()
	}
	return done{times: times}
}

func (j job) trickle(nc *nats.Conn) {
	payload := j.bytes()
	for {
		check(nc.Publish(subject, payload))
		time.Sleep(trickle)
	}
}

// resident is the resident memory of this process, in bytes.
func resident() float64 {
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			return float64(number(fields[1])) * 1024
		}
	}
	fail(fmt.Errorf("no VmRSS in /proc/self/status"))
	return 0
}
