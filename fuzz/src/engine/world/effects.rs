//! The engine's effects, compared with what is allowed, and what the servers got.

use nats_lifeline::engine::{ConnectionEvent, Effect};

use super::super::server::Server;
use super::{Asked, World};

impl World {
    /// Checks everything that has happened since the last call.
    pub(super) fn look(&mut self) {
        for effect in std::mem::take(&mut self.harness.effects) {
            self.expect(effect);
        }
        self.read_wires();
    }

    fn expect(&mut self, effect: Effect<u64>) {
        let published = self.published;
        let reported = &mut self.reported;
        match effect {
            Effect::Choose { .. } => unreachable!("no callbacks are set"),
            Effect::DialNext { .. } => unreachable!("every dial is of the only address"),
            Effect::Dial { epoch, .. } => {
                let most = usize::from(self.prepares);
                assert!(!reported.closed && reported.links <= most, "one connection too many");
                assert!(epoch > reported.epoch);
                reported.epoch = epoch;
                reported.links += 1;
            }
            Effect::StopDialing { .. } | Effect::Close { .. } => reported.links -= 1,
            Effect::Upgrade { epoch, .. } => self.asked = Some((Asked::Upgrade, epoch)),
            Effect::Authenticate { epoch, attempt, .. } => {
                assert!(attempt > 0);
                self.asked = Some((Asked::Credentials, epoch));
            }
            Effect::Emit(event) => self.hear(&event),
            Effect::Complete { token, .. } => {
                assert!(self.flushes.remove(&token).is_some(), "flush {token} was answered twice, or is none");
            }
            Effect::Draining { sid } => assert!(!reported.ended.contains(&sid)),
            Effect::Ended { handle: sid, .. } => {
                assert!(sid <= self.sids && !reported.ended.contains(&sid));
                reported.ended.push(sid);
            }
            Effect::HandedOver { through, .. } => {
                assert!(through >= reported.through && through <= published);
                reported.through = through;
            }
            Effect::Dropped { sequences } => {
                assert!(!sequences.is_empty() && sequences.iter().all(|run| *run.numbers.end() <= published));
            }
            Effect::Refusing { names, after, through } | Effect::Refused { names, after, through, .. } => {
                assert!(!names.is_empty() && after <= through && through <= published);
            }
            Effect::Confirmed { through } => {
                assert!(through >= reported.confirmed && through <= published);
                reported.confirmed = through;
            }
            Effect::Closed { .. } => {
                assert!(!std::mem::replace(&mut reported.closed, true), "the end comes once");
            }
        }
    }

    fn hear(&mut self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Disconnected { in_doubt, .. } => self.reported.in_doubt += in_doubt,
            ConnectionEvent::LeftInDoubt { messages, .. } => self.reported.in_doubt += messages,
            ConnectionEvent::Lost { lost, messages, .. } => {
                assert!(messages.len() <= lost.total());
                self.reported.lost += lost.total();
            }
            _ => {}
        }
    }

    fn read_wires(&mut self) {
        let wires = &self.harness.wires;
        self.servers.resize_with(wires.len(), || Some((Server::new(), 0)));
        for (wire, server) in wires.iter().zip(&mut self.servers) {
            let Some((reader, read)) = server else { continue };
            reader.read(&wire.bytes[*read..], &mut self.arrived);
            *read = wire.bytes.len();
            if let Some(confirmed) = wire.confirmed {
                self.arrived.end(reader, confirmed);
                *server = None;
            }
        }
    }
}
