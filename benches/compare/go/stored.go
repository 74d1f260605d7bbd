package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	stream   = "BENCH"
	stored   = "bench.stored"
	consumer = "bench"

	// Messages whose acknowledgement may be pending.
	inFlight = 4_000
	// Messages that a consumer's stream asks for at a time.
	batch = 500
)

func (j job) jetStream(nc *nats.Conn) done {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(inFlight))
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch j.work {
	case "store":
		return j.store(ctx, js)
	case "store-many":
		return j.storeMany(js)
	case "fetch":
		return j.fetch(ctx, js)
	case "ordered":
		source, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{})
		check(err)
		return j.read(source, nc)
	default:
		source, err := js.Consumer(ctx, stream, consumer)
		check(err)
		return j.read(source, nc)
	}
}

func (j job) store(ctx context.Context, js jetstream.JetStream) done {
	payload, times := j.bytes(), make([]int64, 0, j.messages)
	for range j.messages {
		began := time.Now()
		_, err := js.Publish(ctx, stored, payload)
		check(err)
		times = append(times, time.Since(began).Nanoseconds())
	}
	return done{times: times}
}

func (j job) storeMany(js jetstream.JetStream) done {
	payload := j.bytes()
	for range j.messages {
		// It waits while too many are pending.
		_, err := js.PublishAsync(stored, payload)
		check(err)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(patience):
		return done{dropped: js.PublishAsyncPending()}
	}
	return done{}
}

func (j job) fetch(ctx context.Context, js jetstream.JetStream) done {
	source, err := js.Consumer(ctx, stream, consumer)
	check(err)
	times := make([]int64, 0, j.messages/j.tasks)
	for range j.messages / j.tasks {
		began := time.Now()
		got, err := source.Fetch(j.tasks)
		check(err)
		count := 0
		for range got.Messages() {
			count++
		}
		check(got.Error())
		if count != j.tasks {
			return done{dropped: j.tasks - count}
		}
		times = append(times, time.Since(began).Nanoseconds())
	}
	return done{times: times}
}

func (j job) read(source jetstream.Consumer, nc *nats.Conn) done {
	messages, err := source.Messages(jetstream.PullMaxMessages(batch))
	check(err)
	defer messages.Stop()
	for range j.messages {
		message, err := messages.Next()
		check(err)
		if j.work == "pull-acked" {
			check(message.Ack())
		}
	}
	check(nc.FlushTimeout(patience))
	return done{}
}
