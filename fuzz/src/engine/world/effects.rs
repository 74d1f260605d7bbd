//! What the engine wants done: carried out, and held to what may be wanted.

use nats_lifeline::engine::Effect;
use nats_lifeline::protocol::Decoder;

use super::{Asked, Net, World};

impl World {
    /// Carries out all effects, and says whether there were any.
    pub(super) fn carry_out(&mut self) -> bool {
        let mut moved = false;
        while let Some(effect) = self.engine.poll_effect() {
            moved = true;
            match effect {
                Effect::Choose { .. } => unreachable!("no callbacks are set"),
                Effect::Dial { epoch, deadline, .. } => {
                    assert!(!self.told.closed && self.net == Net::None, "one connection at a time");
                    assert!(epoch > self.told.epoch && deadline > self.now);
                    self.told.epoch = epoch;
                    self.net = Net::Dialing(epoch);
                }
                Effect::Upgrade { epoch, .. } => {
                    assert_eq!(self.net, Net::Up(epoch));
                    assert!(self.unread.is_empty() && self.engine.flight().is_empty(), "something in clear is left");
                    self.asked = Some((Asked::Upgrade, epoch));
                }
                Effect::Authenticate { epoch, attempt, .. } => {
                    assert!(self.net == Net::Up(epoch) && attempt > 0);
                    self.asked = Some((Asked::Credentials, epoch));
                }
                Effect::StopDialing { epoch } => {
                    assert_eq!(self.net, Net::Dialing(epoch));
                    self.net = Net::None;
                }
                Effect::Close { epoch, .. } => {
                    assert_eq!(self.net, Net::Up(epoch));
                    self.net = Net::None;
                    self.unread.clear();
                    self.decoder = Decoder::default();
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
                    assert!(!sequences.is_empty() && sequences.iter().all(|run| *run.end() <= self.published));
                }
                Effect::Closed { .. } => {
                    assert!(!std::mem::replace(&mut self.told.closed, true), "the end comes once");
                }
            }
        }
        moved
    }
}
