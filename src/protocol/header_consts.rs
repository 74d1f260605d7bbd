//! The header names (and a few values) that servers give a meaning to.

use super::header_name::HeaderName;

/// `Nats-Stream`: the stream that a message was stored in.
pub const NATS_STREAM: HeaderName = HeaderName::from_static("Nats-Stream");

/// `Nats-Sequence`: the sequence number of a message in its stream.
pub const NATS_SEQUENCE: HeaderName = HeaderName::from_static("Nats-Sequence");

/// `Nats-Time-Stamp`: when a message was stored.
pub const NATS_TIME_STAMP: HeaderName = HeaderName::from_static("Nats-Time-Stamp");

/// `Nats-Subject`: the subject a message was published to; also set by servers on a no-responders status.
pub const NATS_SUBJECT: HeaderName = HeaderName::from_static("Nats-Subject");

/// `Nats-Msg-Id`: an id chosen by the publisher, by which a stream drops duplicates.
pub const NATS_MESSAGE_ID: HeaderName = HeaderName::from_static("Nats-Msg-Id");

/// `Nats-Last-Stream`: the sequence number of the stream at the last delivered message.
pub const NATS_LAST_STREAM: HeaderName = HeaderName::from_static("Nats-Last-Stream");

/// `Nats-Last-Consumer`: the sequence number of the consumer at the last delivered message.
pub const NATS_LAST_CONSUMER: HeaderName = HeaderName::from_static("Nats-Last-Consumer");

/// `Nats-Last-Sequence`: the last sequence number of the subject or stream.
pub const NATS_LAST_SEQUENCE: HeaderName = HeaderName::from_static("Nats-Last-Sequence");

/// `Nats-Expected-Last-Subject-Sequence`: store only if the subject's last sequence number is this.
pub const NATS_EXPECTED_LAST_SUBJECT_SEQUENCE: HeaderName =
    HeaderName::from_static("Nats-Expected-Last-Subject-Sequence");

/// `Nats-Expected-Last-Msg-Id`: store only if the stream's last message id is this.
pub const NATS_EXPECTED_LAST_MESSAGE_ID: HeaderName = HeaderName::from_static("Nats-Expected-Last-Msg-Id");

/// `Nats-Expected-Last-Sequence`: store only if the stream's last sequence number is this.
pub const NATS_EXPECTED_LAST_SEQUENCE: HeaderName = HeaderName::from_static("Nats-Expected-Last-Sequence");

/// `Nats-Expected-Stream`: store only in this stream.
pub const NATS_EXPECTED_STREAM: HeaderName = HeaderName::from_static("Nats-Expected-Stream");

/// `Nats-TTL`: how long a stream keeps a message.
pub const NATS_MESSAGE_TTL: HeaderName = HeaderName::from_static("Nats-TTL");

/// `Nats-Marker-Reason`: why a stream placed a marker instead of a message.
pub const NATS_MARKER_REASON: HeaderName = HeaderName::from_static("Nats-Marker-Reason");

/// `Nats-Rollup`: replace all earlier messages of the subject or of the stream.
pub const NATS_ROLLUP: HeaderName = HeaderName::from_static("Nats-Rollup");

/// `Nats-Schedule`: when a scheduled message is to be produced.
pub const NATS_SCHEDULE: HeaderName = HeaderName::from_static("Nats-Schedule");

/// `Nats-Schedule-Target`: the subject that a scheduled message is produced on.
pub const NATS_SCHEDULE_TARGET: HeaderName = HeaderName::from_static("Nats-Schedule-Target");

/// `Nats-Schedule-TTL`: how long a stream keeps a produced message.
pub const NATS_SCHEDULE_TTL: HeaderName = HeaderName::from_static("Nats-Schedule-TTL");

/// `Nats-Schedule-Source`: the subject whose last message a schedule repeats.
pub const NATS_SCHEDULE_SOURCE: HeaderName = HeaderName::from_static("Nats-Schedule-Source");

/// `Nats-Schedule-Time-Zone`: the time zone that a schedule is read in.
pub const NATS_SCHEDULE_TIME_ZONE: HeaderName = HeaderName::from_static("Nats-Schedule-Time-Zone");

/// `Nats-Schedule-Rollup`: the rollup of a produced message.
pub const NATS_SCHEDULE_ROLLUP: HeaderName = HeaderName::from_static("Nats-Schedule-Rollup");

/// `Nats-Scheduler`: the subject of the schedule that produced a message.
pub const NATS_SCHEDULER: HeaderName = HeaderName::from_static("Nats-Scheduler");

/// `Nats-Schedule-Next`: when the schedule produces its next message.
pub const NATS_SCHEDULE_NEXT: HeaderName = HeaderName::from_static("Nats-Schedule-Next");

/// `Nats-Batch-Id`: the batch that a message belongs to.
pub const NATS_BATCH_ID: HeaderName = HeaderName::from_static("Nats-Batch-Id");

/// `Nats-Batch-Sequence`: the place of a message in its batch.
pub const NATS_BATCH_SEQUENCE: HeaderName = HeaderName::from_static("Nats-Batch-Sequence");

/// `Nats-Batch-Commit`: ends a batch and stores it.
pub const NATS_BATCH_COMMIT: HeaderName = HeaderName::from_static("Nats-Batch-Commit");

/// `Nats-Required-Api-Level`: the lowest server API level that may handle a request.
pub const NATS_REQUIRED_API_LEVEL: HeaderName = HeaderName::from_static("Nats-Required-Api-Level");

/// `Nats-Pin-Id`: the pin of a consumer's priority group.
pub const NATS_PIN_ID: HeaderName = HeaderName::from_static("Nats-Pin-Id");

/// Value of [`NATS_BATCH_COMMIT`]: this message is the batch's last.
pub const NATS_BATCH_COMMIT_FINAL: &str = "1";

/// Value of [`NATS_BATCH_COMMIT`]: the batch ended before this message.
pub const NATS_BATCH_COMMIT_EOB: &str = "eob";

/// Value of [`NATS_SCHEDULE_ROLLUP`]: by subject.
pub const NATS_SCHEDULE_ROLLUP_SUB: &str = "sub";

/// Value of [`NATS_SCHEDULE`]: once a year.
pub const NATS_SCHEDULE_YEARLY: &str = "@yearly";

/// Value of [`NATS_SCHEDULE`]: once a month.
pub const NATS_SCHEDULE_MONTHLY: &str = "@monthly";

/// Value of [`NATS_SCHEDULE`]: once a week.
pub const NATS_SCHEDULE_WEEKLY: &str = "@weekly";

/// Value of [`NATS_SCHEDULE`]: once a day.
pub const NATS_SCHEDULE_DAILY: &str = "@daily";

/// Value of [`NATS_SCHEDULE`]: once an hour.
pub const NATS_SCHEDULE_HOURLY: &str = "@hourly";
