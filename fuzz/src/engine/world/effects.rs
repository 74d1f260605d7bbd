//! What the engine wants done: carried out, and held to what may be wanted.

use nats_lifeline::engine::Effect;

use super::line::{Line, Net};
use super::{Asked, World};

impl World {
    /// Carries out all effects, and says whether there were any.
    pub(super) fn carry_out(&mut self) -> bool {
        let mut moved = false;
        while let Some(effect) = self.engine.poll_effect() {
            moved = true;
            match effect {
                Effect::Choose { .. } => unreachable!("no callbacks are set"),
                Effect::Dial { epoch, .. } => {
                    let most = usize::from(self.prepares);
                    assert!(!self.told.closed && self.lines.len() <= most, "one connection too many");
                    assert!(epoch > self.told.epoch);
                    self.told.epoch = epoch;
                    self.lines.push(Line::new(epoch));
                }
                Effect::Upgrade { epoch, .. } => {
                    let line = self.line(epoch).unwrap();
                    assert!(line.up && line.unread.is_empty(), "something in clear is left");
                    assert!(self.engine.flight_of(epoch).is_none(), "something in clear is left");
                    self.asked = Some((Asked::Upgrade, epoch));
                }
                Effect::Authenticate { epoch, attempt, .. } => {
                    assert!(self.line(epoch).unwrap().up && attempt > 0);
                    self.asked = Some((Asked::Credentials, epoch));
                }
                Effect::DialNext { .. } => unreachable!("every dial is of the only address"),
                Effect::StopDialing { epoch } => {
                    assert_eq!(self.line(epoch).unwrap().net(), Net::Dialing(epoch));
                    self.lines.retain(|line| line.epoch != epoch);
                }
                Effect::Close { epoch, .. } => {
                    assert_eq!(self.line(epoch).unwrap().net(), Net::Up(epoch));
                    let at = self.lines.iter().position(|line| line.epoch == epoch).unwrap();
                    let confirmed = self.engine.ledger(self.outbox.accepted()).confirmed;
                    self.arrived.end(&self.lines.remove(at).server, confirmed);
                }
                Effect::Emit(event) => self.hear(&event),
                Effect::Complete { token, .. } => {
                    assert!(self.flushes.remove(&token).is_some(), "flush {token} was answered twice, or is none");
                }
                Effect::Draining { sid } => assert!(!self.told.ended.contains(&sid)),
                Effect::Ended { sid, handle, .. } => {
                    assert!(sid == handle && sid <= self.sids && !self.told.ended.contains(&sid));
                    self.told.ended.push(sid);
                }
                Effect::HandedOver { through, .. } => {
                    assert!(through >= self.told.through && through <= self.published);
                    self.told.through = through;
                }
                Effect::Dropped { sequences } => {
                    assert!(!sequences.is_empty() && sequences.iter().all(|run| *run.numbers.end() <= self.published));
                }
                Effect::Refusing { names, after, through } | Effect::Refused { names, after, through, .. } => {
                    assert!(!names.is_empty() && after <= through && through <= self.published);
                }
                Effect::Confirmed { through } => {
                    assert!(through >= self.told.confirmed && through <= self.published);
                    self.told.confirmed = through;
                }
                Effect::Closed { .. } => {
                    assert!(!std::mem::replace(&mut self.told.closed, true), "the end comes once");
                }
            }
        }
        moved
    }
}
