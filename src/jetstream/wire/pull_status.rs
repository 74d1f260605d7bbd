//! The statuses that a pull ends with. What each one means is decided by the machines that pull.
//!
//! The code and the beginning of the text decide (ADR-37, and `consumer.go` of nats-server): versions differ in what follows.

use crate::protocol::StatusCode;

/// A status on the reply subject of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullStatus {
    /// 100 `Idle Heartbeat`.
    IdleHeartbeat,
    /// 100 `FlowControl Request`: for push consumers only.
    FlowControl,
    /// 400 `Bad Request - …`, such as a heartbeat over half of `expires`, or a missing priority group.
    BadRequest,
    /// 404 `No Messages`: a pull that doesn't wait found none.
    NoMessages,
    /// 408 `Request Timeout`: `expires` has passed.
    RequestTimeout,
    /// 408 `Requests Pending`: a pull that doesn't wait found others waiting.
    RequestsPending,
    /// 408 `Interest Expired`, over an import.
    InterestExpired,
    /// 409 `Message Size Exceeds MaxBytes`: the next message is larger than what is left of `max_bytes`.
    MessageTooLarge,
    /// 409 `Batch Completed`: what is left of `max_bytes` is of no more use.
    BatchCompleted,
    /// 409 `Leadership Change`.
    LeadershipChange,
    /// 409 `Server Shutdown`.
    ServerShutdown,
    /// 409 `Consumer Deleted`.
    ConsumerDeleted,
    /// 409 `Consumer is push based`.
    PushBased,
    /// 409 `Exceeded MaxRequestBatch of …`.
    OverMaxBatch,
    /// 409 `Exceeded MaxRequestExpires of …`.
    OverMaxExpires,
    /// 409 `Exceeded MaxRequestMaxBytes of …`, in older versions `Exceeded MaxBytes of …`.
    OverMaxBytes,
    /// 409 `Exceeded MaxWaiting`: as many pulls as the consumer allows are waiting.
    OverMaxWaiting,
    /// 412 `Required Api Level`: the server is too old for the request.
    RequiredApiLevel,
    /// 423 `Nats-Wrong-Pin-Id` or `Nats-Pin-Id mismatch`: another client is pinned.
    WrongPin,
    /// 503: nobody has received the pull. A leader is being elected, or the consumer does not exist.
    NoResponders,
    /// Anything else.
    Unknown,
}

impl PullStatus {
    /// The status with this code and text.
    ///
    /// ```
    /// # #[cfg(feature = "internals")] {
    /// use nats_lifeline::StatusCode;
    /// use nats_lifeline::jetstream::wire::PullStatus;
    ///
    /// let status = PullStatus::of(StatusCode::REQUEST_TERMINATED, "Leadership Change");
    /// assert_eq!(status, PullStatus::LeadershipChange);
    /// # }
    /// ```
    #[must_use]
    pub fn of(code: StatusCode, text: &str) -> Self {
        let known = TABLE.iter().find(|row| row.code == code.as_u16() && begins(text, row.text));
        known.map_or(PullStatus::Unknown, |row| row.status)
    }
}

/// One row for each text. A text that begins with another one comes first.
struct Row {
    code: u16,
    text: &'static str,
    status: PullStatus,
}

const fn row(code: u16, text: &'static str, status: PullStatus) -> Row {
    Row { code, text, status }
}

const TABLE: &[Row] = &[
    row(100, "Idle Heartbeat", PullStatus::IdleHeartbeat),
    row(100, "FlowControl Request", PullStatus::FlowControl),
    row(400, "", PullStatus::BadRequest),
    row(404, "", PullStatus::NoMessages),
    row(408, "Request Timeout", PullStatus::RequestTimeout),
    row(408, "Requests Pending", PullStatus::RequestsPending),
    row(408, "Interest Expired", PullStatus::InterestExpired),
    row(409, "Message Size Exceeds MaxBytes", PullStatus::MessageTooLarge),
    row(409, "Batch Completed", PullStatus::BatchCompleted),
    row(409, "Leadership Change", PullStatus::LeadershipChange),
    row(409, "Server Shutdown", PullStatus::ServerShutdown),
    row(409, "Consumer Deleted", PullStatus::ConsumerDeleted),
    row(409, "Consumer is push based", PullStatus::PushBased),
    row(409, "Exceeded MaxRequestBatch", PullStatus::OverMaxBatch),
    row(409, "Exceeded MaxRequestExpires", PullStatus::OverMaxExpires),
    row(409, "Exceeded MaxRequestMaxBytes", PullStatus::OverMaxBytes),
    row(409, "Exceeded MaxBytes", PullStatus::OverMaxBytes),
    row(409, "Exceeded MaxWaiting", PullStatus::OverMaxWaiting),
    row(412, "", PullStatus::RequiredApiLevel),
    row(423, "", PullStatus::WrongPin),
    row(503, "", PullStatus::NoResponders),
];

fn begins(text: &str, with: &str) -> bool {
    text.as_bytes().get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use PullStatus as S;

    #[test]
    fn every_row_of_the_table_means_what_it_should() {
        let rows = [
            (100, "Idle Heartbeat", S::IdleHeartbeat),
            (100, "FlowControl Request", S::FlowControl),
            (400, "Bad Request - heartbeat value too large", S::BadRequest),
            (404, "No Messages", S::NoMessages),
            (408, "Request Timeout", S::RequestTimeout),
            (408, "Requests Pending", S::RequestsPending),
            (408, "Interest Expired", S::InterestExpired),
            (409, "Message Size Exceeds MaxBytes", S::MessageTooLarge),
            (409, "Batch Completed", S::BatchCompleted),
            (409, "Leadership Change", S::LeadershipChange),
            (409, "Server Shutdown", S::ServerShutdown),
            (409, "Consumer Deleted", S::ConsumerDeleted),
            (409, "Consumer is push based", S::PushBased),
            (409, "Exceeded MaxRequestBatch of 10", S::OverMaxBatch),
            (409, "Exceeded MaxRequestExpires of 20s", S::OverMaxExpires),
            (409, "Exceeded MaxRequestMaxBytes of 5000", S::OverMaxBytes),
            (409, "Exceeded MaxBytes of 5000", S::OverMaxBytes),
            (409, "Exceeded MaxWaiting", S::OverMaxWaiting),
            (412, "Required Api Level", S::RequiredApiLevel),
            (423, "Nats-Wrong-Pin-Id", S::WrongPin),
            (423, "Nats-Pin-Id mismatch", S::WrongPin),
            (503, "", S::NoResponders),
            (409, "something new", S::Unknown),
            (100, "something new", S::Unknown),
            (599, "", S::Unknown),
        ];
        for (code, text, status) in rows {
            assert_eq!(PullStatus::of(StatusCode::from_u16(code).unwrap(), text), status, "{code} {text}");
        }
        for row in TABLE {
            assert!(rows.iter().any(|(.., status)| *status == row.status), "{:?} is not tested", row.status);
        }
    }

    #[test]
    fn case_and_what_follows_make_no_difference() {
        let code = StatusCode::REQUEST_TERMINATED;
        assert_eq!(PullStatus::of(code, "LEADERSHIP change, and more"), S::LeadershipChange);
        assert_eq!(PullStatus::of(code, "Leadership"), S::Unknown, "only a part of it");
        assert_eq!(PullStatus::of(code, "é"), S::Unknown);
    }
}
