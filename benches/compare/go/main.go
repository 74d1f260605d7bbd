// The workloads of compare, done by nats.go. compare starts this program for each measurement:
//
//	compare-go --child nats.go work=publish payload=16 messages=1000 servers=127.0.0.1:4222 …
//
// The words are those of src/job.rs, and the dialogue is that of compare's own children (src/child.rs): print `ready`, read
// `go`, work, read `seen` if only the far end sees the end of the work, and print the results.
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"runtime"
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
	idle    = "bench.idle."

	// Messages in flight in the loop through a server, and the steps in which this window moves.
	window = 32_768
	step   = 1_024

	// After this long without a message, nothing more comes: the source sends without pauses.
	stalled  = 500 * time.Millisecond
	patience = 60 * time.Second

	// Memory is measured after this time without anything to do.
	rest = 2 * time.Second
	// Between two messages of a trickle.
	trickle = 50 * time.Microsecond
)

type job struct {
	messages, tasks, payload, subscriptions, rate int
	work, servers, ca                             string
	last                                          bool
}

type done struct {
	dropped int
	times   []int64
	bytes   float64
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Printf("nats.go %s (%s)\n", nats.Version, runtime.Version())
		return
	}
	if len(os.Args) < 4 || os.Args[1] != "--child" {
		fail(fmt.Errorf("started by compare itself, with --peers"))
	}
	job := parse(os.Args[3:])
	nc := job.connect()
	for number := range job.subscriptions {
		job.subscribeIdly(nc, number)
	}
	check(nc.FlushTimeout(patience))
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	wait(lines, "go")
	began, cpuBegan := time.Now(), cpu()
	result := job.run(nc)
	if job.endsAtFarEnd() {
		wait(lines, "seen")
	}
	wall, used := time.Since(began), cpu()-cpuBegan
	report(wall, used, result)
}

func parse(words []string) job {
	var j job
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "work":
			j.work = value
		case "tasks":
			j.tasks = number(value)
		case "payload":
			j.payload = number(value)
		case "messages":
			j.messages = number(value)
		case "subscriptions":
			j.subscriptions = number(value)
		case "rate":
			j.rate = number(value)
		case "last":
			j.last = value == "1"
		case "servers":
			j.servers = "nats://" + strings.ReplaceAll(value, ",", ",nats://")
		case "ca":
			j.ca = value
		default:
			fail(fmt.Errorf("no such part of a job: %q", key))
		}
	}
	return j
}

func (j job) connect() *nats.Conn {
	var options []nats.Option
	if j.ca != "" {
		options = append(options, nats.RootCAs(j.ca), nats.Secure())
	}
	if j.work == "replay" {
		// By default it waits for two seconds before it dials the same server again; only what follows is timed.
		options = append(options, nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
	}
	nc, err := nats.Connect(j.servers, options...)
	check(err)
	return nc
}

func (j job) endsAtFarEnd() bool {
	return strings.HasPrefix(j.work, "publish") || j.work == "failover" || j.work == "replay"
}

func (j job) run(nc *nats.Conn) done {
	switch j.work {
	case "publish", "publish-headers", "publish-cloned", "publish-handle", "publish-batch":
		j.spread(func() { j.publish(nc) })
		if j.last {
			check(nc.Publish(last, nil))
		}
		check(nc.FlushTimeout(patience))
		return done{}
	case "subscribe", "subscribe-batch":
		return j.receive(nc)
	case "loop":
		return j.loop(nc)
	case "request":
		return j.request(nc)
	case "paced":
		return j.paced(nc)
	case "subscriptions":
		return j.grow(func(number int) { j.subscribeIdly(nc, number) }, func() { check(nc.FlushTimeout(patience)) })
	case "clients":
		clients := make([]*nats.Conn, 0, j.messages)
		result := j.grow(func(int) { clients = append(clients, j.connect()) }, func() {})
		runtime.KeepAlive(clients)
		return result
	case "connect":
		return j.connects()
	case "replay":
		return done{}
	case "failover":
		go j.trickle(nc)
		return done{}
	case "store", "store-many", "pull", "pull-acked", "fetch", "ordered":
		return j.jetStream(nc)
	}
	fail(fmt.Errorf("no such work: %q", j.work))
	return done{}
}

func (j job) publish(nc *nats.Conn) {
	payload := j.bytes()
	switch j.work {
	case "publish-headers":
		for range j.messages / j.tasks {
			check(nc.PublishMsg(&nats.Msg{Subject: subject, Header: headers(), Data: payload}))
		}
	case "publish-cloned":
		// nats.go encodes the map of a message each time and does not change it, so one message serves.
		message := &nats.Msg{Subject: subject, Header: headers(), Data: payload}
		for range j.messages / j.tasks {
			check(nc.PublishMsg(message))
		}
	default:
		for range j.messages / j.tasks {
			check(nc.Publish(subject, payload))
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
		times := make([]int64, 0, share)
		for range share {
			began := time.Now()
			_, err := nc.Request(service, payload, patience)
			check(err)
			times = append(times, time.Since(began).Nanoseconds())
		}
		both.Lock()
		all = append(all, times...)
		both.Unlock()
	})
	return done{times: all}
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

func report(wall time.Duration, cpu int64, result done) {
	fmt.Printf("wall=%d cpu=%d dropped=%d", wall.Nanoseconds(), cpu, result.dropped)
	if result.bytes != 0 {
		fmt.Printf(" bytes=%f", result.bytes)
	}
	if n := len(result.times); n > 0 {
		slices.Sort(result.times)
		for _, percentile := range []float64{50, 90, 99, 99.9} {
			rank := int(math.Ceil(float64(n) * percentile / 100))
			fmt.Printf(" p%v=%d", percentile, result.times[max(rank, 1)-1])
		}
		fmt.Printf(" max=%d", result.times[n-1])
	}
	fmt.Println()
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
