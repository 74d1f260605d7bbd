//! A push consumer: what is answered to its flow control, and whether it still lives.
//!
//! Arrivals are heard in the order in which the user gets them. So when a request of the flow control is heard, the messages before it
//! have been delivered, and it is answered then (ADR-15).

use std::time::{Duration, Instant};

use super::silence::Silence;

/// What a push consumer's stream is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Publish an empty message to the subject that has arrived.
    Answer,
    /// Two heartbeats are missing: report it, and ask the server whether the consumer still exists. Once for each silence.
    ReportSilence,
    /// Nothing: it was a sign of life, or less.
    None,
}

/// The machine.
#[derive(Debug)]
pub struct Push {
    silence: Silence,
    watch: Watch,
    /// What was answered last, on this connection.
    answered: Option<Box<[u8]>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// It lives, as far as is known.
    Alive,
    /// Its silence was reported.
    Silent,
}

impl Push {
    /// A consumer with this heartbeat; zero if it sends none.
    #[must_use]
    pub fn new(heartbeat: Duration, now: Instant) -> Push {
        Push { silence: Silence::new(heartbeat, now), watch: Watch::Alive, answered: None }
    }

    /// Something has arrived since the last time, and everything that has was heard: the silence begins now.
    pub fn alive(&mut self, now: Instant) {
        self.silence.broken(now);
        self.watch = Watch::Alive;
    }

    /// A request of the flow control has arrived, with the subject of the answer.
    pub fn flow_control(&mut self, subject: &[u8]) -> Effect {
        self.answer(subject)
    }

    /// A heartbeat has arrived. A consumer that is `stalled` says which answer it waits for.
    pub fn heartbeat(&mut self, stalled: Option<&[u8]>) -> Effect {
        match stalled {
            Some(subject) if self.answered.as_deref() != Some(subject) => self.answer(subject),
            Some(_) | None => Effect::None,
        }
    }

    /// The connection was lost, and with it perhaps an answer.
    pub fn interrupted(&mut self) {
        self.answered = None;
    }

    /// Time has passed. `connected_since` is `None` while there is no connection.
    pub fn tick(&mut self, now: Instant, connected_since: Option<Instant>) -> Effect {
        if self.watch == Watch::Silent || !self.silence.is_over(now, connected_since) {
            return Effect::None;
        }
        self.watch = Watch::Silent;
        Effect::ReportSilence
    }

    /// When [`tick`](Push::tick) is due.
    #[must_use]
    pub fn due(&self, connected_since: Option<Instant>) -> Option<Instant> {
        match self.watch {
            Watch::Alive => self.silence.ends(connected_since),
            Watch::Silent => None,
        }
    }

    fn answer(&mut self, subject: &[u8]) -> Effect {
        self.answered = Some(subject.into());
        Effect::Answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_stalled_consumer_gets_the_same_answer_once_for_each_connection() {
        let now = Instant::now();
        let mut push = Push::new(SECOND, now);
        assert_eq!(push.flow_control(b"$JS.FC.1"), Effect::Answer);
        // It was on its way when the consumer said so.
        assert_eq!(push.heartbeat(Some(b"$JS.FC.1")), Effect::None);
        assert_eq!(push.heartbeat(Some(b"$JS.FC.2")), Effect::Answer);
        assert_eq!(push.heartbeat(Some(b"$JS.FC.2")), Effect::None);
        push.interrupted();
        assert_eq!(push.heartbeat(Some(b"$JS.FC.2")), Effect::Answer);
        assert_eq!(push.heartbeat(None), Effect::None);
    }

    #[test]
    fn silence_is_reported_once_until_something_arrives() {
        let now = Instant::now();
        let (mut push, connected) = (Push::new(SECOND, now), Some(now));
        assert_eq!(push.tick(now + SECOND, connected), Effect::None);
        assert_eq!(push.due(connected), Some(now + 2 * SECOND));
        assert_eq!(push.tick(now + 2 * SECOND, None), Effect::None);
        assert_eq!(push.tick(now + 2 * SECOND, connected), Effect::ReportSilence);
        assert_eq!((push.tick(now + 9 * SECOND, connected), push.due(connected)), (Effect::None, None));
        push.alive(now + 9 * SECOND);
        assert_eq!(push.due(connected), Some(now + 11 * SECOND));
        assert_eq!(push.tick(now + 11 * SECOND, connected), Effect::ReportSilence);
    }

    #[test]
    fn a_consumer_without_heartbeats_is_never_silent() {
        let now = Instant::now();
        let push = Push::new(Duration::ZERO, now);
        assert_eq!(push.due(Some(now)), None);
    }
}
