//! Carries out the engine's effects: one arm per effect, and no decision.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use super::{LEAVING, Task};
use crate::driver::authenticator::{CredentialsQuestion, PendingCredentials};
use crate::driver::chooser::{PendingChoice, Question};
use crate::driver::deliver::Sink;
use crate::driver::dial::DialOptions;
use crate::driver::dial_permits::{DIAL_PERMITS, DialPermit};
use crate::driver::guard::guarded;
use crate::driver::inbox::Unread;
use crate::driver::link::{Link, Stream};
use crate::driver::secure::{dial_prepared, secure};
use crate::driver::settings::DriverSettings;
use crate::driver::statistics::Statistics;
use crate::engine::time::after;
use crate::engine::{Cause, CloseHow, ConnectionEvent, Effect, EndReason, Status};
use crate::protocol::ServerAddr;

impl Task {
    /// Carries out effects until there is none. State and totals are public before an event is emitted or a caller
    /// woken: after `Connected` the client is connected, and after a flush the messages are confirmed.
    ///
    /// Returns whether an effect was answered immediately, so that the engine may have more effects.
    pub(super) fn carry_out(&mut self, now: Instant) -> bool {
        let mut answered = false;
        if self.engine.status() != Status::Closed {
            self.show_state();
        }
        let mut learnt = false;
        while let Some(effect) = self.engine.poll_effect() {
            if !std::mem::replace(&mut learnt, true) {
                self.shared.learn(&self.engine);
            }
            match effect {
                Effect::Choose { ask, attempt, server } => {
                    let servers = if server { self.engine.pool().servers().to_vec() } else { Vec::new() };
                    let question = Question { servers, info: self.engine.info().cloned(), attempt, server };
                    self.asked = Some(PendingChoice::new(ask, self.shared.settings.chooser.as_ref(), question));
                }
                Effect::Dial { epoch, addr } => {
                    self.asked = None;
                    let stream = match DIAL_PERMITS.free() {
                        Some(permit) => dialing(&self.shared.settings, addr, None, permit),
                        None => {
                            self.engine.handle_dial_waits(epoch);
                            Stream::Waiting { permit: Box::pin(DIAL_PERMITS.wait()), addr }
                        }
                    };
                    self.links.push(Link::new(epoch, stream, self.shared.settings.limits));
                }
                Effect::DialNext { epoch, after, how, addr } => {
                    let others = self.links.iter_mut().find(|link| link.epoch == after);
                    let others = others.map(|link| std::mem::take(&mut link.prepared.others)).unwrap_or_default();
                    self.close(after, how, now);
                    // The attempt already had a permit, and continues.
                    let stream = dialing(&self.shared.settings, addr, Some(others), DIAL_PERMITS.extra());
                    self.links.push(Link::new(epoch, stream, self.shared.settings.limits));
                }
                Effect::Upgrade { epoch, addr } => self.upgrade(epoch, addr),
                Effect::Authenticate { epoch, nonce, server, attempt, last_error } => {
                    let question = CredentialsQuestion { nonce, server, attempt, last_error };
                    let authenticator = self.shared.settings.authenticator.as_ref();
                    if let Some(link) = self.links.iter_mut().find(|link| link.epoch == epoch) {
                        link.asked = Some(PendingCredentials::new(authenticator, question));
                    }
                }
                Effect::StopDialing { epoch } => {
                    self.links.retain(|link| link.epoch != epoch);
                }
                Effect::Close { epoch, how } => self.close(epoch, how, now),
                Effect::Emit(event) => {
                    self.emit(&event);
                    // After the state: who reads of it finds the client disconnected.
                    if matches!(&event, ConnectionEvent::Disconnected { cause, .. } if *cause != Cause::ByUser) {
                        self.interrupt_streams();
                    }
                }
                Effect::Complete { token, outcome } => {
                    if let Some(done) = self.flushes.remove(token) {
                        // The caller of the flush may be gone.
                        let _ = guarded("waker", || done.send(outcome).is_ok());
                    }
                }
                Effect::Draining { sid } => {
                    let handle = self.engine.subscriptions.get(sid).map(|entry| &entry.handle);
                    let Some(Sink::Inbox(inbox)) = handle else { continue };
                    answered = true;
                    match inbox.set_draining() {
                        Unread::Nothing => self.engine.handle_finished(sid),
                        Unread::LastInHand => self.engine.handle_last_taken(sid, now),
                        Unread::Some => {}
                    }
                }
                Effect::Ended { handle, reason } => self.end_subscription(handle, reason),
                Effect::HandedOver { after, through, in_doubt } => {
                    if in_doubt > 0 {
                        self.shared.repeat(after, through);
                    }
                    self.shared.requests.handed_over(through, in_doubt, &mut self.delivered.wakers);
                    self.shared.confirmations.handed_over(through, &mut self.delivered.wakers);
                }
                Effect::Dropped { sequences } => {
                    self.shared.requests.dropped(&sequences, &mut self.delivered.wakers);
                    self.shared.confirmations.dropped(&sequences, &mut self.delivered.wakers);
                }
                Effect::Refusing { names, after, through } => {
                    self.shared.requests.refused(&names, after, through, &mut self.delivered.wakers);
                }
                Effect::Refused { names, after, again, through } => {
                    self.shared.confirmations.refused(&names, after, again, through, &mut self.delivered.wakers);
                }
                Effect::Confirmed { through } => {
                    self.shared.confirmations.confirmed(through, &mut self.delivered.wakers);
                }
                Effect::Closed { reason, completed } => {
                    self.ended = true;
                    let _ = guarded("waker", || self.flushes.clear());
                    self.shared.end(&reason, completed, self.unread.messages());
                    self.show_state();
                }
            }
        }
        if self.ended {
            self.shared.listeners.end();
        }
        self.wake_all();
        answered
    }

    /// Starts dials that have received their permit.
    pub(super) fn poll_permits(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        for link in &mut self.links {
            let Stream::Waiting { permit, addr } = &mut link.stream else {
                continue;
            };
            if let Poll::Ready(permit) = permit.as_mut().poll(cx) {
                link.stream = dialing(&self.shared.settings, addr.clone(), None, permit);
                self.engine.handle_dial_begins(link.epoch, now);
                moved = true;
            }
        }
        moved
    }

    pub(super) fn emit(&self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { .. } => {
                self.shared.set_connected(Some(tokio::time::Instant::now().into_std()));
                Statistics::add(&self.shared.counters().connects, 1);
            }
            ConnectionEvent::Disconnected { .. } => self.shared.set_connected(None),
            _ => {}
        }
        self.shared.record.write(event, SystemTime::now());
        self.shared.listeners.emit(event);
    }

    /// Records in the streams that asked for it where the connection was lost, unless nothing was missed.
    fn interrupt_streams(&mut self) {
        if self.shared.gap_streams.load(Ordering::Relaxed) == 0 {
            return;
        }
        for (_, subscription) in self.engine.subscriptions.iter().filter(|(_, entry)| !entry.is_bridged()) {
            if let Sink::Inbox(inbox) = &subscription.handle {
                self.delivered.wakers.extend(inbox.interrupt());
            }
        }
    }

    fn end_subscription(&mut self, handle: Sink, reason: EndReason) {
        match handle {
            Sink::Inbox(inbox) => {
                self.unread.add(&inbox);
                self.delivered.wakers.extend(inbox.end(reason));
            }
            Sink::Requests => {
                self.shared.requests.end(&reason, &mut self.delivered.wakers);
                self.shared.forget_replies();
            }
        }
    }

    fn show_state(&mut self) {
        let state = (self.engine.status(), self.engine.epoch());
        if state != self.shown {
            self.shown = state;
            let server = self.engine.server().map(str::to_owned);
            self.shared.publish_state(state.0, server, self.engine.last_error().cloned());
        }
    }

    /// Performs the TLS handshake on a link's byte stream.
    fn upgrade(&mut self, epoch: u64, addr: ServerAddr) {
        let Some(at) = self.links.iter().position(|link| link.epoch == epoch) else {
            return;
        };
        let mut link = self.links.remove(at);
        if let Stream::Up(transport) = link.stream {
            let others = std::mem::take(&mut link.prepared.others);
            let prepared = std::mem::take(&mut link.prepared);
            link.prepared.others = others;
            let secured = secure(transport, addr, self.shared.settings.tls.clone(), prepared);
            link.stream = Stream::Securing(Box::pin(secured));
        }
        self.links.insert(at, link);
    }

    fn close(&mut self, epoch: u64, how: CloseHow, now: Instant) {
        let Some(at) = self.links.iter().position(|link| link.epoch == epoch) else {
            return;
        };
        let Link { stream: Stream::Up(mut transport), .. } = self.links.remove(at) else {
            return;
        };
        match how {
            CloseHow::Reset => transport.reset(),
            CloseHow::Drop => drop(transport),
            CloseHow::Finish => {
                transport.finish();
                self.leaving.push((transport, after(now, LEAVING)));
            }
        }
    }
}

/// Opens a byte stream to `addr`, whose addresses may already be `found`, and then returns the permit.
fn dialing(settings: &DriverSettings, addr: ServerAddr, found: Option<Vec<SocketAddr>>, permit: DialPermit) -> Stream {
    let options = DialOptions {
        local: settings.local_address,
        write_timeout: settings.write_timeout,
        resolver: settings.resolver.clone(),
        dialer: settings.dialer.clone(),
    };
    let dialled = dial_prepared(addr, found, options, settings.tls.clone());
    Stream::Dialing(Box::pin(async move {
        let _permit = permit;
        dialled.await
    }))
}
