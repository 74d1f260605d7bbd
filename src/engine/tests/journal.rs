//! Effects as short sentences, so that a dialogue can be read.

use crate::engine::{ConnectionEvent, DroppedRun, Effect, Lost, RefusedName};

pub(super) fn describe(effect: &Effect<u64>) -> String {
    match effect {
        Effect::Choose { attempt, server, .. } => format!("choose {attempt}, server: {server}"),
        Effect::Dial { addr, .. } => format!("dial {}", addr.host()),
        Effect::Upgrade { addr, .. } => format!("upgrade {}", addr.tls_host()),
        Effect::Authenticate { nonce, server, attempt, last_error, .. } => {
            let last = last_error.as_ref().map_or("nothing".to_owned(), |cause| cause.to_string());
            format!("authenticate to {server}, attempt {attempt}, nonce {nonce:?}, before: {last}")
        }
        Effect::DialNext { how, .. } => format!("close {how:?}, dial the next address"),
        Effect::StopDialing { .. } => "stop dialling".to_owned(),
        Effect::Close { how, .. } => format!("close {how:?}"),
        Effect::Emit(event) => said(event),
        Effect::Complete { token, outcome: Ok(()) } => format!("flush {token} ok"),
        Effect::Complete { token, outcome: Err(failure) } => format!("flush {token} failed: {failure}"),
        Effect::Draining { sid } => format!("no more for {sid}"),
        Effect::Ended { handle, reason } => format!("stream {handle} ends: {reason}"),
        Effect::HandedOver { through, in_doubt, .. } => format!("handed over to {through}, {in_doubt} in doubt"),
        Effect::Dropped { sequences } => {
            let said = |run: &DroppedRun| {
                let again = if run.handed_over { " again" } else { "" };
                format!("{}-{}{again}", run.numbers.start(), run.numbers.end())
            };
            format!("dropped {}", sequences.iter().map(said).collect::<Vec<_>>().join(", "))
        }
        Effect::Refusing { names, after, through } => format!("refusing {} of {after}-{through}", named(names)),
        Effect::Refused { names, after, again, through } => {
            let again = if again > after { format!(", up to {again} again") } else { String::new() };
            format!("refused {} of {after}-{through}{again}", named(names))
        }
        Effect::Confirmed { through } => format!("confirmed to {through}"),
        Effect::Closed { reason, completed } => format!("the end: {reason}, completed: {completed}"),
    }
}

fn named(names: &[RefusedName]) -> String {
    let name = |name: &RefusedName| format!("{}{}", if name.reply { "reply " } else { "" }, name.subject);
    names.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn said(event: &ConnectionEvent) -> String {
    match event {
        ConnectionEvent::Connected { server, attempts } => format!("Connected {server} after {attempts}"),
        ConnectionEvent::Reconnected { server, attempts, subscriptions, flushed, still_buffered, .. } => {
            format!(
                "Reconnected {server} after {attempts}: {subscriptions} subs, {flushed} flushed, {still_buffered} buffered"
            )
        }
        ConnectionEvent::Disconnected { cause, in_doubt, buffered, .. } => {
            format!("Disconnected: {cause}, {in_doubt} in doubt, {buffered} buffered")
        }
        ConnectionEvent::RecoveryDone { server, flushed, late, .. } => {
            format!("RecoveryDone {server}: {flushed} flushed, {late} of them late")
        }
        ConnectionEvent::ServerInfo { server, info } => format!("ServerInfo {server}: {}", info.server_id),
        ConnectionEvent::Connecting { server, attempt, .. } => format!("Connecting {server} {attempt}"),
        ConnectionEvent::AttemptFailed { server, attempt, cause, .. } => {
            format!("AttemptFailed {server} {attempt}: {cause}")
        }
        ConnectionEvent::ServersChanged { added, removed } => {
            format!("ServersChanged +{} -{}", added.join(","), removed.join(","))
        }
        ConnectionEvent::ServerNotInPool { server } => format!("ServerNotInPool {server}"),
        ConnectionEvent::ServerError { error, .. } => format!("ServerError {error}"),
        ConnectionEvent::LameDuck { server } => format!("LameDuck {server}"),
        ConnectionEvent::SlowConsumer { .. } | ConnectionEvent::MessageTooLarge { .. } => {
            unreachable!("the driver says that")
        }
        ConnectionEvent::Lost { lost, messages } => {
            let Lost { overflow, expired, too_large, no_headers, poison, refused, closed, .. } = *lost;
            let counts = [
                (overflow, "by overflow"),
                (expired, "expired"),
                (too_large, "too large"),
                (no_headers, "with headers"),
                (poison, "poison"),
                (refused, "refused"),
                (closed, "closed"),
            ];
            let counts = counts.iter().filter(|(count, _)| *count > 0);
            let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
            assert!(messages.len() <= lost.total());
            assert_eq!(messages.iter().count() as u64, messages.len());
            let back: Vec<String> = messages
                .iter()
                .map(|message| {
                    let payload =
                        String::from_utf8_lossy(&message.payload[..message.payload.len().min(10)]).into_owned();
                    format!("{} {payload}", message.subject)
                })
                .collect();
            format!("Lost {}: {}", counts.join(", "), back.join(", "))
        }
        ConnectionEvent::LeftInDoubt { messages } => format!("LeftInDoubt {messages}"),
        ConnectionEvent::BufferHigh { pending, limit } => format!("BufferHigh {pending} of {limit}"),
        ConnectionEvent::BufferLow { pending, limit } => format!("BufferLow {pending} of {limit}"),
        ConnectionEvent::GaveUp { cause, attempts, .. } => format!("GaveUp after {attempts}: {cause}"),
        ConnectionEvent::Draining => "Draining".to_owned(),
        ConnectionEvent::Closed { cause } => format!("Closed: {cause}"),
    }
}
