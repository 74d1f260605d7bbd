//! What only push consumers have: heartbeats and flow control.

use super::super::time::Time;
use super::super::turn::{Out, Turn, status};
use super::Consumer;
use bytes::Bytes;

/// The most bytes that are sent without an answer, and where it begins (nats-server's `JsFlowControlMaxPending`).
const LARGEST_WINDOW: u64 = 32 << 20;
const FIRST_WINDOW: u64 = LARGEST_WINDOW / 16;

/// Heartbeats and flow control.
#[derive(Debug)]
pub(super) struct Flow {
    heartbeat: u64,
    beats_at: Time,
    window: u64,
    /// Bytes that were sent and not answered.
    out: u64,
    /// The subject of the question that was not answered, and the bytes that its answer confirms.
    question: Option<(String, u64)>,
    questions: u64,
}

impl Flow {
    pub(super) fn new(now: Time, heartbeat: u64) -> Self {
        Self {
            heartbeat,
            beats_at: now.saturating_add(heartbeat),
            window: FIRST_WINDOW,
            out: 0,
            question: None,
            questions: 0,
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        Some(self.beats_at).filter(|_| self.heartbeat > 0)
    }
}

impl Consumer {
    /// More is out than the window allows.
    pub(super) fn is_stalled(&self) -> bool {
        self.config.flow_control && self.flow.out > self.flow.window
    }

    /// Counts a message, and asks the client whether it keeps up when half of the window is used.
    pub(super) fn sent(&mut self, size: u64, turn: &mut Turn<'_>) {
        let flow = &mut self.flow;
        flow.beats_at = turn.now.saturating_add(flow.heartbeat);
        if !self.config.flow_control {
            return;
        }
        flow.out += size;
        if flow.question.is_some() || flow.out <= flow.window / 2 {
            return;
        }
        flow.questions += 1;
        let reply = format!("$JS.FC.{}.{}.{:04}", self.stream, self.name, flow.questions);
        flow.question = Some((reply.clone(), flow.out));
        let to = self.config.deliver_subject.clone();
        let headers = status(100, "FlowControl Request", &[]);
        turn.out.push(Out { subject: to.clone(), to, reply: Some(reply), headers, payload: Bytes::new() });
    }

    /// The client has answered a question.
    pub(in super::super) fn keeps_up(&mut self, subject: &str) {
        let flow = &mut self.flow;
        let Some((_, bytes)) = flow.question.take_if(|(question, _)| question == subject) else { return };
        flow.window = (flow.window * 2).min(LARGEST_WINDOW);
        flow.out = flow.out.saturating_sub(bytes);
    }

    /// Makes the window smaller or larger, so that few bytes show what flow control does.
    pub(in super::super) fn set_window(&mut self, bytes: u64) {
        self.flow.window = bytes;
    }

    /// The heartbeat, when nothing was sent for a while.
    pub(super) fn beat(&mut self, turn: &mut Turn<'_>) {
        let flow = &mut self.flow;
        if flow.heartbeat == 0 || flow.beats_at > turn.now {
            return;
        }
        flow.beats_at = turn.now.saturating_add(flow.heartbeat);
        if self.config.is_pull() || !turn.wanted(&self.config.deliver_subject) {
            return;
        }
        let (consumer, stream) = (self.delivered.consumer.to_string(), self.delivered.stream.to_string());
        let mut fields = vec![("Nats-Last-Consumer", consumer.as_str()), ("Nats-Last-Stream", stream.as_str())];
        let question = self.flow.question.as_ref().map(|(subject, _)| subject.clone());
        if let Some(question) = question.as_deref().filter(|_| self.is_stalled()) {
            fields.push(("Nats-Consumer-Stalled", question));
        }
        let headers = status(100, "Idle Heartbeat", &fields);
        let to = self.config.deliver_subject.clone();
        turn.status(&to, headers);
    }
}
