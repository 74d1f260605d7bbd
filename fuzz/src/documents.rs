//! Configurations of JetStream, made by edits of the default: each edit sets one field.

use std::time::Duration;

use nats_lifeline::datetime::{DateTime, from_nanos};
use nats_lifeline::jetstream::{consumer, stream};

/// What an edit sets its field to.
#[derive(Debug, Clone)]
pub struct Edit {
    pub field: u8,
    pub number: u64,
    pub text: String,
}

impl Edit {
    /// A time after 1970, not the zero time, which is read as none.
    fn time(&self) -> DateTime {
        from_nanos(i128::from(self.number >> 1)).unwrap()
    }

    /// At most the longest that Go can read.
    fn duration(&self) -> Duration {
        Duration::from_nanos(self.number >> 1)
    }

    fn signed(&self) -> i64 {
        self.number as i64
    }

    fn transform(&self) -> stream::SubjectTransform {
        stream::SubjectTransform { source: self.text.clone(), destination: self.number.to_string() }
    }

    fn source(&self) -> stream::Source {
        let some = |bit: u32| (self.number >> bit) % 2 == 1;
        stream::Source {
            name: self.text.clone(),
            start_sequence: some(0).then_some(self.number),
            start_time: some(1).then(|| self.time()),
            filter_subject: some(2).then(|| self.text.clone()),
            external: some(3).then(|| stream::External {
                api_prefix: self.text.clone(),
                delivery_prefix: some(4).then(|| self.text.clone()),
            }),
            domain: some(5).then(|| self.text.clone()),
            subject_transforms: if some(6) { vec![self.transform()] } else { Vec::new() },
            consumer: some(7).then(|| stream::StreamConsumerSource::new(self.text.clone(), "here")),
        }
    }
}

/// Sets a field of a stream's configuration.
pub fn edit_stream(config: &mut stream::Config, edit: &Edit) {
    let (text, signed, flag) = (|| edit.text.clone(), edit.signed(), edit.number % 2 == 1);
    let small = (edit.number % 4) as i32 - 1;
    match edit.field % 37 {
        0 => config.name = text(),
        1 => config.max_bytes = signed,
        2 => config.max_messages = signed,
        3 => config.max_messages_per_subject = signed,
        4 => config.discard = stream::DiscardPolicy::New,
        5 => config.discard_new_per_subject = flag,
        6 => config.subjects.push(text()),
        7 if flag => config.retention = stream::RetentionPolicy::Interest,
        7 => config.retention = stream::RetentionPolicy::WorkQueue,
        8 => config.max_consumers = small,
        9 => config.max_age = edit.duration(),
        10 => config.max_message_size = small,
        11 => config.storage = stream::StorageType::Memory,
        12 => config.num_replicas = edit.number as usize,
        13 => config.no_ack = flag,
        14 => config.duplicate_window = edit.duration(),
        15 => config.template_owner = text(),
        16 => config.sealed = flag,
        17 => config.description = Some(text()),
        18 => config.allow_rollup = flag,
        19 => config.deny_delete = flag,
        20 => config.deny_purge = flag,
        21 => {
            let (source, destination) = (text(), text());
            config.republish = Some(stream::Republish { source, destination, headers_only: flag });
        }
        22 => config.allow_direct = flag,
        23 => config.mirror_direct = flag,
        24 => config.mirror = Some(edit.source()),
        25 => config.sources.get_or_insert_default().push(edit.source()),
        26 => drop(config.metadata.insert(text(), edit.number.to_string())),
        27 => config.subject_transform = Some(edit.transform()),
        28 if flag => config.compression = Some(stream::Compression::S2),
        28 => config.compression = Some(stream::Compression::None),
        // Limits that are all zero are read as none.
        29 => {
            let inactive_threshold = edit.duration();
            config.consumer_limits = Some(stream::ConsumerLimits { inactive_threshold, max_ack_pending: signed | 1 });
        }
        30 => config.first_sequence = Some(edit.number),
        31 => {
            let cluster = flag.then(text);
            config.placement = Some(stream::Placement { cluster, tags: vec![text()] });
        }
        32 if flag => config.persist_mode = Some(stream::PersistenceMode::Async),
        32 => config.persist_mode = Some(stream::PersistenceMode::Default),
        33 => config.pause_until = Some(edit.time()),
        34 => config.subject_delete_marker_ttl = Some(edit.duration()),
        35 => (config.allow_message_ttl, config.allow_atomic_publish) = (flag, !flag),
        _ => {
            config.allow_message_schedules = flag;
            config.allow_message_counter = !flag;
            config.allow_batch_publish = flag;
        }
    }
}

/// Sets a field of a consumer's configuration.
pub fn edit_consumer(config: &mut consumer::Config, edit: &Edit) {
    let (text, signed, flag) = (|| edit.text.clone(), edit.signed(), edit.number % 2 == 1);
    match edit.field % 31 {
        0 => config.deliver_subject = Some(text()),
        1 => config.durable_name = Some(text()),
        2 => config.name = Some(text()),
        3 => config.description = Some(text()),
        4 => config.deliver_group = Some(text()),
        5 => {
            config.deliver_policy = match edit.number % 5 {
                0 => consumer::DeliverPolicy::Last,
                1 => consumer::DeliverPolicy::New,
                2 => consumer::DeliverPolicy::ByStartSequence { start_sequence: edit.number },
                3 => consumer::DeliverPolicy::ByStartTime { start_time: edit.time() },
                _ => consumer::DeliverPolicy::LastPerSubject,
            }
        }
        6 => {
            let policies = [consumer::AckPolicy::None, consumer::AckPolicy::All, consumer::AckPolicy::FlowControl];
            config.ack_policy = policies[(edit.number % 3) as usize];
        }
        7 => config.ack_wait = edit.duration(),
        8 => config.max_deliver = signed,
        9 => config.filter_subject = text(),
        10 => config.filter_subjects.push(text()),
        11 => config.replay_policy = consumer::ReplayPolicy::Original,
        12 => config.rate_limit = edit.number,
        13 => config.sample_frequency = edit.number as u8,
        14 => config.max_waiting = signed,
        15 => config.max_ack_pending = signed,
        16 => config.headers_only = flag,
        17 => config.flow_control = flag,
        18 => config.idle_heartbeat = edit.duration(),
        19 => config.max_batch = signed,
        20 => config.max_bytes = signed,
        21 => config.max_expires = edit.duration(),
        22 => config.inactive_threshold = edit.duration(),
        23 => config.num_replicas = edit.number as usize,
        24 => config.memory_storage = flag,
        25 => drop(config.metadata.insert(text(), edit.number.to_string())),
        26 => config.backoff.push(edit.duration()),
        27 => {
            config.priority_policy = match edit.number % 3 {
                0 => consumer::PriorityPolicy::Overflow,
                1 => consumer::PriorityPolicy::PinnedClient,
                _ => consumer::PriorityPolicy::Prioritized,
            }
        }
        28 => config.priority_groups.push(text()),
        29 => config.priority_timeout = edit.duration(),
        _ => config.pause_until = Some(edit.time()),
    }
}
