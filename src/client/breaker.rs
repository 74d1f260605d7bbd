//! A circuit breaker: calls that keep failing are refused for a while, without being made.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::wait;
use crate::driver::lock;
use crate::engine::time::after;

/// Stops calling something that keeps failing, and tries it again later.
///
/// *Closed*, calls are made. After [`failures`](CircuitBreaker::failures) failures in a row it *opens*: calls are
/// refused immediately, with [`BreakerError::Open`]. After [`open_for`](CircuitBreaker::open_for) it is *half open*:
/// one call at a time is made as a probe. After [`successes`](CircuitBreaker::successes) probes that succeed in a row it
/// closes; a probe that fails opens it again. Calls that began before it opened no longer count.
///
/// Clones share one state. Use one breaker for each service that can fail by itself, such as each subject that you send
/// requests to. A breaker knows nothing of the connection: while disconnected, requests are buffered and time out, and
/// those timeouts count as failures like any other.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), nats_lifeline::Error> {
/// use nats_lifeline::client::{BreakerError, BreakerState, CircuitBreaker};
/// use nats_lifeline::testing::Broker;
///
/// let broker = Broker::start().await?;
/// let client = nats_lifeline::connect(broker.url()).await?;
/// let prices = CircuitBreaker::new().failures(2);
/// for _ in 0..2 {
///     // Nobody answers.
///     let outcome = prices.call(client.request("prices", "eur".into())).await;
///     assert!(matches!(outcome, Err(BreakerError::Failed(_))));
/// }
/// assert_eq!(prices.state(), BreakerState::Open);
/// let outcome = prices.call(client.request("prices", "eur".into())).await;
/// assert!(matches!(outcome, Err(BreakerError::Open { .. })), "no request was sent");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    rules: Rules,
    circuit: Arc<Mutex<Circuit>>,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    failures: u32,
    open_for: Duration,
    successes: u32,
}

/// The state of a [`CircuitBreaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are made.
    Closed,
    /// Calls are refused.
    Open,
    /// The next call is made as a probe; others are refused until it has ended.
    HalfOpen,
}

/// Why a call through a [`CircuitBreaker`] has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakerError<E> {
    /// The call was not made.
    #[error("the circuit breaker is open{}", again_in_words(*.retry_after))]
    Open {
        /// When a probe may be made; `None` while one is being made.
        retry_after: Option<Duration>,
    },
    /// The call was made, and failed.
    #[error("{0}")]
    Failed(#[source] E),
}

impl<E> BreakerError<E> {
    /// The error of the call, if it was made.
    pub fn into_failure(self) -> Option<E> {
        match self {
            BreakerError::Failed(error) => Some(error),
            BreakerError::Open { .. } => None,
        }
    }
}

fn again_in_words(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(after) => format!("; a call may be tried in {after:?}"),
        None => "; one call is being tried".to_owned(),
    }
}

/// The state with its data. Times are arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Circuit {
    /// How often it has opened. A call counts only in the generation that it began in.
    generation: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { successes: u32, probing: bool },
}

impl Circuit {
    const fn new() -> Circuit {
        Circuit { generation: 0, state: State::Closed { failures: 0 } }
    }

    /// A call is to be made. `Ok`: its generation.
    fn admit(&mut self, now: Instant) -> Result<u64, Option<Duration>> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until } if now < until => return Err(Some(until.saturating_duration_since(now))),
            State::Open { .. } => self.state = State::HalfOpen { successes: 0, probing: true },
            State::HalfOpen { probing: true, .. } => return Err(None),
            State::HalfOpen { successes, probing: false } => {
                self.state = State::HalfOpen { successes, probing: true };
            }
        }
        Ok(self.generation)
    }

    /// A call has ended. If it began before the circuit last opened, it does not count, even if the circuit has closed again.
    fn settle(&mut self, generation: u64, succeeded: bool, now: Instant, rules: Rules) {
        if generation != self.generation {
            return;
        }
        match (self.state, succeeded) {
            (State::Closed { .. }, true) => self.state = State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < rules.failures => {
                self.state = State::Closed { failures: failures + 1 };
            }
            (State::Closed { .. } | State::HalfOpen { .. }, false) => self.open(now, rules),
            // Every call of its generation is a probe while it is half open.
            (State::HalfOpen { successes, .. }, true) if successes + 1 < rules.successes => {
                self.state = State::HalfOpen { successes: successes + 1, probing: false };
            }
            (State::HalfOpen { .. }, true) => self.state = State::Closed { failures: 0 },
            (State::Open { .. }, _) => {}
        }
    }

    /// A call was given up before its end. It proves nothing, and the next one may be the probe.
    fn abandon(&mut self, generation: u64) {
        if generation != self.generation {
            return;
        }
        if let State::HalfOpen { successes, .. } = self.state {
            self.state = State::HalfOpen { successes, probing: false };
        }
    }

    fn open(&mut self, now: Instant, rules: Rules) {
        let generation = self.generation.wrapping_add(1);
        *self = Circuit { generation, state: State::Open { until: after(now, rules.open_for) } };
    }
}

impl Default for CircuitBreaker {
    /// Opens after 5 failures in a row, for 30 s, and closes after one success.
    fn default() -> Self {
        CircuitBreaker {
            rules: Rules { failures: 5, open_for: Duration::from_secs(30), successes: 1 },
            circuit: Arc::new(Mutex::new(Circuit::new())),
        }
    }
}

impl CircuitBreaker {
    /// A closed breaker with the defaults: 5 failures in a row, 30 s, one success.
    #[must_use]
    pub fn new() -> CircuitBreaker {
        CircuitBreaker::default()
    }

    /// Sets how many failures in a row open it. Default 5; 0 counts as 1.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> CircuitBreaker {
        self.rules.failures = failures.max(1);
        self
    }

    /// Sets how long it stays open before a probe is made. Default 30 s.
    #[must_use]
    pub fn open_for(mut self, time: Duration) -> CircuitBreaker {
        self.rules.open_for = time;
        self
    }

    /// Sets how many probes in a row must succeed before it closes. Default 1; 0 counts as 1.
    #[must_use]
    pub fn successes(mut self, successes: u32) -> CircuitBreaker {
        self.rules.successes = successes.max(1);
        self
    }

    /// The state now.
    pub fn state(&self) -> BreakerState {
        match self.circuit().state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if wait::now() < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Makes a call, unless the breaker is open. Every error counts as a failure.
    ///
    /// Dropping the future gives up the call, which then counts neither as a success nor as a failure.
    ///
    /// # Errors
    ///
    /// [`BreakerError::Open`] if the call was not made; [`BreakerError::Failed`] with the error of the call.
    pub async fn call<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, BreakerError<E>> {
        self.call_if(call, |_| true).await
    }

    /// [`call`](CircuitBreaker::call), where `counts` says which errors are failures. Other errors count as successes:
    /// the service has answered.
    ///
    /// # Errors
    ///
    /// As `call`.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) {
    /// use nats_lifeline::RequestErrorKind;
    /// use nats_lifeline::client::CircuitBreaker;
    ///
    /// let prices = CircuitBreaker::new();
    /// let call = client.request("prices", "eur".into());
    /// // A message that is too large says nothing about the service.
    /// let outcome = prices.call_if(call, |error| error.kind() != RequestErrorKind::MaxPayloadExceeded).await;
    /// # drop(outcome);
    /// # }
    /// ```
    pub async fn call_if<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        counts: impl FnOnce(&E) -> bool,
    ) -> Result<T, BreakerError<E>> {
        let admitted = self.circuit().admit(wait::now());
        let generation = admitted.map_err(|retry_after| BreakerError::Open { retry_after })?;
        let mut made = Made { breaker: self, generation, ended: false };
        let outcome = call.await;
        let succeeded = outcome.as_ref().err().is_none_or(|error| !counts(error));
        made.ended = true;
        self.circuit().settle(generation, succeeded, wait::now(), self.rules);
        outcome.map_err(BreakerError::Failed)
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        lock(&self.circuit)
    }
}

/// A call that is being made.
struct Made<'a> {
    breaker: &'a CircuitBreaker,
    generation: u64,
    ended: bool,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.breaker.circuit().abandon(self.generation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { failures: 3, open_for: Duration::from_secs(10), successes: 2 };

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_successful_probes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut circuit = Circuit::new();
        for succeeded in [false, false, true, false, false] {
            assert_eq!(circuit.admit(start), Ok(0));
            circuit.settle(0, succeeded, start, RULES);
        }
        assert_eq!(circuit.state, State::Closed { failures: 2 }, "a success in between counts");
        circuit.settle(0, false, start, RULES);
        assert_eq!(circuit.admit(at(4)), Err(Some(Duration::from_secs(6))));
        // One that began before it opened.
        circuit.settle(0, true, at(5), RULES);
        assert_eq!(circuit.admit(at(9)), Err(Some(Duration::from_secs(1))));

        assert_eq!(circuit.admit(at(10)), Ok(1));
        assert_eq!(circuit.admit(at(10)), Err(None), "one probe at a time");
        circuit.abandon(0);
        assert_eq!(circuit.admit(at(10)), Err(None), "a call of before the opening is no probe");
        circuit.settle(1, true, at(11), RULES);
        assert_eq!(circuit.admit(at(11)), Ok(1));
        circuit.settle(1, false, at(12), RULES);
        assert_eq!(circuit.admit(at(13)), Err(Some(Duration::from_secs(9))), "a failed probe opens it again");

        assert_eq!(circuit.admit(at(22)), Ok(2));
        circuit.abandon(2);
        assert_eq!(circuit.admit(at(22)), Ok(2), "an abandoned probe blocks nobody");
        circuit.settle(2, true, at(22), RULES);
        assert_eq!(circuit.admit(at(22)), Ok(2));
        circuit.settle(2, true, at(22), RULES);
        assert_eq!(circuit.state, State::Closed { failures: 0 });
    }

    #[test]
    fn a_time_beyond_the_clock_is_for_ever() {
        let now = Instant::now();
        let mut circuit = Circuit::new();
        circuit.open(now, Rules { open_for: Duration::MAX, ..RULES });
        assert!(matches!(circuit.admit(now + Duration::from_secs(1 << 29)), Err(Some(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_began_before_it_opened_do_not_count_after_it_has_closed() {
        let breaker = CircuitBreaker::new().failures(2).open_for(Duration::from_secs(5));
        let failing = |after: u64| {
            let breaker = breaker.clone();
            async move {
                let call = async {
                    tokio::time::sleep(Duration::from_secs(after)).await;
                    Err::<(), _>("no")
                };
                assert_eq!(breaker.call(call).await, Err(BreakerError::Failed("no")));
            }
        };
        let slow = [tokio::spawn(failing(60)), tokio::spawn(failing(60))];
        tokio::time::sleep(Duration::from_secs(1)).await;
        failing(0).await;
        failing(0).await;
        assert_eq!(breaker.state(), BreakerState::Open);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(breaker.call(async { Ok::<_, &str>(7) }).await, Ok(7));
        for call in slow {
            call.await.unwrap();
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_go_through_refused_or_not() {
        let breaker = CircuitBreaker::new().failures(1).open_for(Duration::from_secs(5));
        let failing = async || Err::<(), _>("no");
        let succeeding = async || Ok::<_, &str>(7);
        assert_eq!(breaker.call_if(failing(), |_| false).await, Err(BreakerError::Failed("no")));
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.call(failing()).await, Err(BreakerError::Failed("no")));
        assert_eq!(breaker.state(), BreakerState::Open);
        let refused = breaker.clone().call(succeeding()).await.unwrap_err();
        assert_eq!(refused.to_string(), "the circuit breaker is open; a call may be tried in 5s");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let hanging = breaker.call(std::future::pending::<Result<(), &str>>());
        assert!(tokio::time::timeout(Duration::from_secs(1), hanging).await.is_err());
        assert_eq!(breaker.call(succeeding()).await, Ok(7), "the dropped probe has made way");
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
