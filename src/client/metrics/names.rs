//! The names of the metrics, and their descriptions for exporters.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) const CONNECTION_STATE: &str = "nats_connection_state";
pub(super) const RECONNECTIONS: &str = "nats_reconnections_total";
pub(super) const DISCONNECTION_DURATION: &str = "nats_disconnection_duration_seconds";
pub(super) const BUFFER_SIZE: &str = "nats_buffer_size_bytes";
pub(super) const BUFFER_LIMIT: &str = "nats_buffer_limit_bytes";
pub(super) const OVERFLOW_QUEUE_SIZE: &str = "nats.overflow_queue_size";
pub(super) const MESSAGES_LOST: &str = "nats.messages_lost";
pub(super) const MESSAGES_IN_DOUBT: &str = "nats_messages_in_doubt_total";
pub(super) const MESSAGES_PUBLISHED: &str = "nats_messages_published_total";
pub(super) const PUBLISH_LATENCY: &str = "nats_publish_latency_seconds";
pub(super) const ERRORS: &str = "nats_errors_total";

/// The label `subject` of messages without a known subject, or beyond the limit of labels.
pub(super) const OTHER: &str = "{other}";

/// Describes every metric to the installed recorder.
pub(super) fn describe() {
    describe_gauge!(CONNECTION_STATE, Unit::Count, "Whether this server is connected: 1 or 0");
    describe_counter!(RECONNECTIONS, Unit::Count, "Connections made after a loss");
    describe_histogram!(DISCONNECTION_DURATION, Unit::Seconds, "Time from a loss to the next connection");
    describe_gauge!(BUFFER_SIZE, Unit::Bytes, "Bytes waiting for the transport");
    describe_gauge!(BUFFER_LIMIT, Unit::Bytes, "Bytes that may be buffered while no server is connected");
    describe_gauge!(OVERFLOW_QUEUE_SIZE, Unit::Count, "Messages buffered while no server is connected");
    describe_counter!(MESSAGES_LOST, Unit::Count, "Accepted messages that were lost on the client's side");
    describe_counter!(
        MESSAGES_IN_DOUBT,
        Unit::Count,
        "Messages that a lost connection had taken without a confirmation"
    );
    describe_counter!(MESSAGES_PUBLISHED, Unit::Count, "Messages accepted by publish and requests");
    describe_histogram!(PUBLISH_LATENCY, Unit::Seconds, "Time from publishing to the PONG that confirms it");
    describe_counter!(ERRORS, Unit::Count, "Errors of the connection, of servers and of publishing");
}
