// The workloads of compare, done by nats.go. compare starts this program for each measurement:
//
//	compare-go --child nats.go WORKLOAD HOST:PORT MESSAGES WORK TASKS HEADERS PAYLOAD
//
// The dialogue is that of compare's own children (src/child.rs): print `ready`, read `go`, work, read `seen` if the work
// was to publish, and print wall time, CPU time, dropped messages and the median round trip.
package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	subject = "bench.subject"
	service = "bench.service"
	last    = "bench.last"

	// Messages in flight in the loop through a server, and the steps in which this window moves.
	window = 32_768
	step   = 1_024

	// After this long without a message, nothing more comes: the source sends without pauses.
	stalled  = 500 * time.Millisecond
	patience = 60 * time.Second
)

type job struct {
	messages, tasks, payload int
	work, headers            string
}

type done struct {
	dropped    int
	roundTrips []int64
}

func main() {
	if len(os.Args) != 10 || os.Args[1] != "--child" {
		fail(fmt.Errorf("started by compare itself, with --go"))
	}
	job := job{
		messages: number(os.Args[5]),
		work:     os.Args[6],
		tasks:    number(os.Args[7]),
		headers:  os.Args[8],
		payload:  number(os.Args[9]),
	}
	nc, err := nats.Connect("nats://" + os.Args[4])
	check(err)
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	wait(lines, "go")
	began, cpuBegan := time.Now(), cpu()
	result := job.run(nc)
	if job.work == "publish" {
		wait(lines, "seen")
	}
	wall, used := time.Since(began), cpu()-cpuBegan
	slices.Sort(result.roundTrips)
	median := int64(0)
	if n := len(result.roundTrips); n > 0 {
		median = result.roundTrips[n/2]
	}
	fmt.Println(wall.Nanoseconds(), used, result.dropped, median)
}

func (j job) run(nc *nats.Conn) done {
	switch j.work {
	case "publish":
		j.spread(func() { j.publish(nc) })
		// A sink counts one message more than it waits for.
		check(nc.Publish(last, nil))
		check(nc.FlushTimeout(patience))
		return done{}
	case "subscribe":
		return j.receive(nc)
	case "loop":
		return j.loop(nc)
	case "request":
		return j.request(nc)
	}
	fail(fmt.Errorf("no such work: %q", j.work))
	return done{}
}

func (j job) publish(nc *nats.Conn) {
	payload := j.bytes()
	switch j.headers {
	case "no":
		for range j.messages / j.tasks {
			check(nc.Publish(subject, payload))
		}
	case "made":
		for range j.messages / j.tasks {
			check(nc.PublishMsg(&nats.Msg{Subject: subject, Header: headers(), Data: payload}))
		}
	case "cloned":
		// nats.go encodes the map of a message each time and does not change it, so one message serves.
		message := &nats.Msg{Subject: subject, Header: headers(), Data: payload}
		for range j.messages / j.tasks {
			check(nc.PublishMsg(message))
		}
	}
}

func (j job) receive(nc *nats.Conn) done {
	subscription, err := nc.SubscribeSync(subject)
	check(err)
	// With the default limits it could drop messages, and then its figures would not count.
	check(subscription.SetPendingLimits(-1, -1))
	for received := range j.messages {
		if _, err := subscription.NextMsg(stalled); err != nil {
			return done{dropped: j.messages - received}
		}
	}
	return done{}
}

func (j job) loop(nc *nats.Conn) done {
	subscription, err := nc.SubscribeSync(subject)
	check(err)
	check(subscription.SetPendingLimits(-1, -1))
	check(nc.FlushTimeout(patience))
	room := make(chan struct{}, j.messages/step+window/step+1)
	for range window / step {
		room <- struct{}{}
	}
	var publishing sync.WaitGroup
	publishing.Add(1)
	go func() {
		defer publishing.Done()
		payload := j.bytes()
		for sent := range j.messages {
			if sent%step == 0 {
				<-room
			}
			check(nc.Publish(subject, payload))
		}
		check(nc.FlushTimeout(patience))
	}()
	received := 0
	for received < j.messages {
		if _, err := subscription.NextMsg(patience); err != nil {
			break
		}
		received++
		if received%step == 0 {
			room <- struct{}{}
		}
	}
	publishing.Wait()
	return done{dropped: j.messages - received}
}

func (j job) request(nc *nats.Conn) done {
	var both sync.Mutex
	var all []int64
	payload := j.bytes()
	j.spread(func() {
		share := j.messages / j.tasks
		roundTrips := make([]int64, 0, share)
		for range share {
			began := time.Now()
			_, err := nc.Request(service, payload, patience)
			check(err)
			roundTrips = append(roundTrips, time.Since(began).Nanoseconds())
		}
		both.Lock()
		all = append(all, roundTrips...)
		both.Unlock()
	})
	return done{roundTrips: all}
}

func (j job) spread(work func()) {
	var tasks sync.WaitGroup
	for range j.tasks {
		tasks.Add(1)
		go func() {
			defer tasks.Done()
			work()
		}()
	}
	tasks.Wait()
}

func (j job) bytes() []byte { return []byte(strings.Repeat("x", j.payload)) }

func headers() nats.Header {
	return nats.Header{"Trace-Id": []string{"4bf92f3577b34da6"}, "Content-Type": []string{"text/plain"}}
}

// cpu is the CPU time of this process, user and system, in nanoseconds.
func cpu() int64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func wait(lines *bufio.Scanner, word string) {
	if !lines.Scan() || lines.Text() != word {
		fail(fmt.Errorf("wanted %q, got %q", word, lines.Text()))
	}
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "compare-go:", err)
	os.Exit(1)
}
