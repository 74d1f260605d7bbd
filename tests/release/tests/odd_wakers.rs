//! Wakers whose clones never compare equal: `will_wake` may always be false, and streams must still work.
// Fault A1. Every waker in the tests came from one runtime, and compared equal.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::testing::Broker;

/// The data of a clone: each clone has its own, so no two are equal.
struct Copy {
    wakes: Arc<AtomicUsize>,
    thread: std::thread::Thread,
}

static TABLE: RawWakerVTable = RawWakerVTable::new(copy, wake, wake_by_ref, forget);

fn raw(copy: Copy) -> RawWaker {
    RawWaker::new(Box::into_raw(Box::new(copy)).cast(), &TABLE)
}

fn copy(data: *const ()) -> RawWaker {
    // SAFETY: `data` comes from `raw`, and lives until `forget` or `wake`.
    let known = unsafe { &*data.cast::<Copy>() };
    raw(Copy { wakes: known.wakes.clone(), thread: known.thread.clone() })
}

fn wake(data: *const ()) {
    wake_by_ref(data);
    forget(data);
}

fn wake_by_ref(data: *const ()) {
    // SAFETY: as in `copy`.
    let known = unsafe { &*data.cast::<Copy>() };
    known.wakes.fetch_add(1, Ordering::SeqCst);
    known.thread.unpark();
}

fn forget(data: *const ()) {
    // SAFETY: `data` comes from `raw`, and is freed once.
    drop(unsafe { Box::from_raw(data.cast_mut().cast::<Copy>()) });
}

/// Runs a future with a waker that never equals itself.
fn block_on<F: Future>(future: F) -> F::Output {
    let wakes = Arc::new(AtomicUsize::new(0));
    let odd = Copy { wakes: wakes.clone(), thread: std::thread::current() };
    // SAFETY: the table keeps the contract of a waker.
    let waker = unsafe { Waker::from_raw(raw(odd)) };
    assert!(!waker.will_wake(&waker.clone()), "or this shows nothing");
    let mut future = pin!(future);
    loop {
        let seen = wakes.load(Ordering::SeqCst);
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // A `park` may return immediately: for a wake that was counted before its `unpark`, or for no reason at all.
        let asleep_since = Instant::now();
        while wakes.load(Ordering::SeqCst) == seen {
            assert!(asleep_since.elapsed() < Duration::from_secs(60), "nobody woke it for a minute");
            std::thread::park_timeout(Duration::from_secs(1));
        }
    }
}

#[test]
fn every_call_works_with_wakers_that_never_compare_equal() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = runtime.block_on(Broker::start()).unwrap();
    let client = runtime.block_on(nats_lifeline::connect(broker.url())).unwrap();
    block_on(async {
        // No message arrives here: a poll returns all the same.
        let mut quiet = client.subscribe("quiet").await.unwrap();
        let (done, watched) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let odd = Copy { wakes: Arc::default(), thread: std::thread::current() };
            // SAFETY: the table keeps the contract of a waker.
            let waker = unsafe { Waker::from_raw(raw(odd)) };
            for _ in 0..3 {
                assert!(quiet.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
            }
            done.send(()).unwrap();
        });
        watched.recv_timeout(Duration::from_secs(60)).expect("a poll that finds nothing ends");
        let mut ticks = client.subscribe("ticks").await.unwrap();
        for number in 0..100 {
            client.publish("ticks", format!("{number}").into()).await.unwrap();
            assert_eq!(ticks.next().await.unwrap().payload, format!("{number}"));
        }
        let mut service = client.subscribe("service").await.unwrap();
        let answering = client.clone();
        let answers = async move {
            let request = service.next().await.unwrap();
            answering.publish(request.reply.unwrap(), "yes".into()).await.unwrap();
        };
        let (answer, ()) = futures_util::future::join(client.request("service", "".into()), answers).await;
        assert_eq!(answer.unwrap().payload, "yes");
        client.flush().await.unwrap();
        ticks.unsubscribe().await.unwrap();
        assert!(ticks.next().await.is_none());
        client.close().await.unwrap();
    });
}
