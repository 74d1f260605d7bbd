//! A circuit breaker: calls that keep failing are refused for a while, without being made.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::wait;
use crate::engine::time::after;

/// Stops calling something that keeps failing, and tries it again later.
///
/// *Closed*, calls are made. After [`failures`](CircuitBreaker::failures) failures in a row it *opens*: calls are
/// refused immediately, with [`BreakerError::Open`]. After [`open_for`](CircuitBreaker::open_for) it is *half open*:
/// one call at a time is made as a probe. After [`successes`](CircuitBreaker::successes) probes that succeed in a row it
/// closes; a probe that fails opens it again.
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
enum Circuit {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { successes: u32, probing: bool },
}

impl Circuit {
    /// A call is to be made. `Ok`: whether it is a probe.
    fn admit(&mut self, now: Instant) -> Result<bool, Option<Duration>> {
        match *self {
            Circuit::Closed { .. } => Ok(false),
            Circuit::Open { until } if now < until => Err(Some(until.saturating_duration_since(now))),
            Circuit::Open { .. } => {
                *self = Circuit::HalfOpen { successes: 0, probing: true };
                Ok(true)
            }
            Circuit::HalfOpen { probing: true, .. } => Err(None),
            Circuit::HalfOpen { successes, probing: false } => {
                *self = Circuit::HalfOpen { successes, probing: true };
                Ok(true)
            }
        }
    }

    /// A call has ended. Calls that began before the circuit opened don't count.
    fn settle(&mut self, probe: bool, succeeded: bool, now: Instant, rules: Rules) {
        *self = match (*self, probe, succeeded) {
            (Circuit::Closed { .. }, false, true) => Circuit::Closed { failures: 0 },
            (Circuit::Closed { failures }, false, false) if failures + 1 < rules.failures => {
                Circuit::Closed { failures: failures + 1 }
            }
            (Circuit::Closed { .. }, false, false) | (Circuit::HalfOpen { .. }, true, false) => open(now, rules),
            (Circuit::HalfOpen { successes, .. }, true, true) if successes + 1 < rules.successes => {
                Circuit::HalfOpen { successes: successes + 1, probing: false }
            }
            (Circuit::HalfOpen { .. }, true, true) => Circuit::Closed { failures: 0 },
            (other, ..) => other,
        };
    }

    /// A call was given up before its end. It proves nothing, and the next one may be the probe.
    fn abandon(&mut self, probe: bool) {
        if let (Circuit::HalfOpen { successes, .. }, true) = (*self, probe) {
            *self = Circuit::HalfOpen { successes, probing: false };
        }
    }
}

fn open(now: Instant, rules: Rules) -> Circuit {
    Circuit::Open { until: after(now, rules.open_for) }
}

impl Default for CircuitBreaker {
    /// Opens after 5 failures in a row, for 30 s, and closes after one success.
    fn default() -> Self {
        CircuitBreaker {
            rules: Rules { failures: 5, open_for: Duration::from_secs(30), successes: 1 },
            circuit: Arc::new(Mutex::new(Circuit::Closed { failures: 0 })),
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
        match *self.circuit() {
            Circuit::Closed { .. } => BreakerState::Closed,
            Circuit::Open { until } if wait::now() < until => BreakerState::Open,
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => BreakerState::HalfOpen,
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
        let probe = admitted.map_err(|retry_after| BreakerError::Open { retry_after })?;
        let mut made = Made { breaker: self, probe, ended: false };
        let outcome = call.await;
        let succeeded = outcome.as_ref().err().is_none_or(|error| !counts(error));
        made.ended = true;
        self.circuit().settle(probe, succeeded, wait::now(), self.rules);
        outcome.map_err(BreakerError::Failed)
    }

    fn circuit(&self) -> std::sync::MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is being made.
struct Made<'a> {
    breaker: &'a CircuitBreaker,
    probe: bool,
    ended: bool,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.breaker.circuit().abandon(self.probe);
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
        let mut circuit = Circuit::Closed { failures: 0 };
        for succeeded in [false, false, true, false, false] {
            assert_eq!(circuit.admit(start), Ok(false));
            circuit.settle(false, succeeded, start, RULES);
        }
        assert_eq!(circuit, Circuit::Closed { failures: 2 }, "a success in between counts");
        circuit.settle(false, false, start, RULES);
        assert_eq!(circuit.admit(at(4)), Err(Some(Duration::from_secs(6))));
        // One that began before it opened.
        circuit.settle(false, true, at(5), RULES);
        assert_eq!(circuit.admit(at(9)), Err(Some(Duration::from_secs(1))));

        assert_eq!(circuit.admit(at(10)), Ok(true));
        assert_eq!(circuit.admit(at(10)), Err(None), "one probe at a time");
        circuit.settle(true, true, at(11), RULES);
        assert_eq!(circuit.admit(at(11)), Ok(true));
        circuit.settle(true, false, at(12), RULES);
        assert_eq!(circuit.admit(at(13)), Err(Some(Duration::from_secs(9))), "a failed probe opens it again");

        assert_eq!(circuit.admit(at(22)), Ok(true));
        circuit.abandon(true);
        assert_eq!(circuit.admit(at(22)), Ok(true), "an abandoned probe blocks nobody");
        circuit.settle(true, true, at(22), RULES);
        assert_eq!(circuit.admit(at(22)), Ok(true));
        circuit.settle(true, true, at(22), RULES);
        assert_eq!(circuit, Circuit::Closed { failures: 0 });
    }

    #[test]
    fn a_time_beyond_the_clock_is_for_ever() {
        let now = Instant::now();
        let rules = Rules { open_for: Duration::MAX, ..RULES };
        let mut circuit = open(now, rules);
        assert!(matches!(circuit.admit(now + Duration::from_secs(1 << 29)), Err(Some(_))));
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
