//! Compares what a peer could decrypt with what was counted as taken, at every step: the two must be equal.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handshake::shake;
use super::*;
use crate::engine::Cause;
use crate::engine::tests::laws::laws;

/// Both ends of a stream, under the test's full control.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Bytes that are still accepted from the client.
    room: usize,
    to_server: Vec<u8>,
    to_client: VecDeque<u8>,
    /// Nothing more is received, and nothing more is accepted.
    cut: bool,
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        if state.to_client.is_empty() && !state.cut {
            return Poll::Pending;
        }
        let n = buf.remaining().min(state.to_client.len());
        let bytes: Vec<u8> = state.to_client.drain(..n).collect();
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        if state.cut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = buf.len().min(state.room);
        if n == 0 {
            return Poll::Pending;
        }
        state.room -= n;
        state.to_server.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A session after its handshake, and its peer.
struct Pair {
    lower: Lower,
    tls: Tls,
    peer: Peer,
}

/// The far end.
struct Peer {
    server: ServerConnection,
    wire: Wire,
    /// What the peer has decrypted.
    decrypted: Vec<u8>,
    /// Bytes from the peer that the client cannot read yet: they arrive in pieces.
    coming: VecDeque<u8>,
    piece: usize,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion) -> Pair {
        Pair::in_pieces(version, usize::MAX)
    }

    fn in_pieces(version: &'static SupportedProtocolVersion, piece: usize) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["here".to_owned()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        let name = ServerName::try_from("here").unwrap();
        let wire = Wire::default();
        let lower = Lower::custom(Box::new(wire.clone()));
        let mut shaking = Box::pin(shake(lower, Arc::new(client), name));
        let mut peer = Peer {
            server: ServerConnection::new(Arc::new(server)).unwrap(),
            wire,
            decrypted: Vec::new(),
            coming: VecDeque::new(),
            piece,
        };
        let mut done = None;
        for _ in 0..10_000 {
            peer.room(1 << 24);
            if done.is_none() {
                match shaking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(outcome) => {
                        done = Some(outcome.unwrap_or_else(|why| panic!("pieces of {piece}: {why}")))
                    }
                    Poll::Pending => {}
                }
            }
            peer.serve();
            if !peer.server.is_handshaking() {
                if let Some((lower, tls)) = done.take() {
                    peer.wire.0.lock().unwrap().room = 0;
                    return Pair { lower, tls, peer };
                }
            }
        }
        panic!("the handshake does not end");
    }

    fn write(&mut self, parts: &[IoSlice<'_>]) -> Poll<Result<usize, WriteFailed>> {
        self.tls.poll_write(&mut self.lower, &mut Context::from_waker(Waker::noop()), parts)
    }

    fn read(&mut self, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        buf.reserve(1000);
        self.tls.poll_read(&mut self.lower, &mut Context::from_waker(Waker::noop()), buf)
    }
}

impl Peer {
    fn room(&self, more: usize) {
        self.wire.0.lock().unwrap().room += more;
    }

    /// The peer reads and decrypts, and its own data is sent.
    fn serve(&mut self) {
        let bytes = std::mem::take(&mut self.wire.0.lock().unwrap().to_server);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            self.server.process_new_packets().unwrap();
            let mut plain = [0; 32 * 1024];
            while let Ok(n) = self.server.reader().read(&mut plain) {
                if n == 0 {
                    break;
                }
                self.decrypted.extend_from_slice(&plain[..n]);
            }
        }
        let mut out = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut out).unwrap();
        }
        self.coming.extend(out);
        let piece = self.coming.len().min(self.piece);
        self.wire.0.lock().unwrap().to_client.extend(self.coming.drain(..piece));
    }
}

impl PartialEq for WriteFailed {
    fn eq(&self, other: &Self) -> bool {
        self.doubtful == other.doubtful && self.error.kind() == other.error.kind()
    }
}

/// Bytes whose value shows their position.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

/// `all` from `from` on, in parts that end at `cuts`.
fn parts<'a>(all: &'a [u8], cuts: &[usize], from: usize) -> Vec<IoSlice<'a>> {
    let mut at = from;
    let ends = cuts.iter().copied().chain([all.len()]).filter(|end| *end > from);
    ends.filter_map(|end| {
        let part = all.get(at..end).filter(|part| !part.is_empty())?;
        at = end;
        Some(IoSlice::new(part))
    })
    .collect()
}

// Only the very first byte identifies a server without TLS: any later one may be a letter.
#[test]
fn a_handshake_may_come_in_pieces_of_any_size() {
    for version in [&version::TLS12, &version::TLS13] {
        for piece in (1..20).chain([100, 1000]) {
            drop(Pair::in_pieces(version, piece));
        }
    }
}

proptest! {
    #![proptest_config(laws(60))]

    #[test]
    fn bytes_counted_as_taken_are_those_that_the_peer_can_decrypt(
        old in any::<bool>(),
        len in prop_oneof![1_usize..300, 16_000_usize..17_000, 1_usize..600_000],
        mut cuts in prop::collection::vec(0_usize..600_000, 0..12),
        rooms in prop::collection::vec(prop_oneof![1_usize..60, 1_usize..40_000], 1..40),
        says in prop::collection::vec((0_usize..20_000, any::<bool>()), 0..6),
    ) {
        let mut pair = Pair::new(if old { &version::TLS12 } else { &version::TLS13 });
        let all = bytes(len);
        cuts.sort_unstable();
        let mut taken = 0;
        let mut sends = says.into_iter();
        let (mut sent, mut got) = (Vec::new(), BytesMut::new());
        for room in rooms.iter().cycle() {
            if taken == len {
                break;
            }
            pair.peer.room(*room);
            match pair.write(&parts(&all, &cuts, taken)) {
                Poll::Ready(outcome) => taken += outcome.unwrap(),
                Poll::Pending => {}
            }
            let begun = pair.tls.begun();
            prop_assert!(begun <= len - taken && begun <= BATCH);
            // The other direction, with new keys now and then; the session's answers go between our records.
            if let Some((more, renew)) = sends.next() {
                let more = bytes(more);
                pair.peer.server.writer().write_all(&more).unwrap();
                sent.extend_from_slice(&more);
                if renew && !old {
                    pair.peer.server.refresh_traffic_keys().unwrap();
                }
            }
            pair.peer.serve();
            prop_assert!(pair.peer.decrypted.len() == taken && all.starts_with(&pair.peer.decrypted), "{} of {taken}", pair.peer.decrypted.len());
            while let Poll::Ready(n) = pair.read(&mut got) {
                prop_assert!(n.unwrap() > 0);
            }
            prop_assert_eq!(pair.tls.begun(), begun);
        }
        prop_assert!(sent == got, "the peer's bytes arrive in order");
    }
}

#[test]
fn encrypted_bytes_that_were_not_taken_leave_by_no_other_way() {
    let mut pair = Pair::new(&version::TLS13);
    let all = bytes(40_000);
    pair.peer.room(10_000);
    assert_eq!(pair.write(&[IoSlice::new(&all)]), Poll::Ready(Ok(0)), "no record is complete yet");
    assert_eq!(pair.tls.begun(), 40_000);

    pair.peer.room(1 << 24);
    let flushed = pair.tls.poll_flush(&mut pair.lower, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(flushed, Poll::Ready(Ok(()))));
    pair.tls.finish(&mut pair.lower);
    pair.lower.finish();
    pair.peer.serve();
    assert_eq!(pair.peer.decrypted, b"", "the connection was left, and the messages go to the next one");
}

#[test]
fn an_error_of_a_stream_that_may_have_sent_everything_leaves_all_encrypted_bytes_in_doubt() {
    let mut pair = Pair::new(&version::TLS13);
    let all = bytes(40_000);
    pair.peer.room(16_406 + 5);
    assert_eq!(pair.write(&[IoSlice::new(&all)]), Poll::Ready(Ok(RECORD)));
    pair.peer.wire.0.lock().unwrap().cut = true;
    let error = io::ErrorKind::BrokenPipe.into();
    let doubtful = all.len() - RECORD;
    assert_eq!(pair.write(&[IoSlice::new(&all[RECORD..])]), Poll::Ready(Err(WriteFailed { doubtful, error })));
    assert!(!pair.tls.is_unflushed(&pair.lower), "it is not tried again and again");
}

#[test]
fn the_end_comes_after_what_was_read_before_it() {
    let mut pair = Pair::new(&version::TLS13);
    pair.peer.server.writer().write_all(b"last words").unwrap();
    pair.peer.server.send_close_notify();
    pair.peer.serve();
    let mut got = BytesMut::new();
    assert!(matches!(pair.read(&mut got), Poll::Ready(Ok(10))));
    assert!(matches!(pair.read(&mut got), Poll::Ready(Ok(0))));
    // The same for an error, with its name.
    let mut pair = Pair::new(&version::TLS13);
    pair.peer.server.writer().write_all(b"last words").unwrap();
    pair.peer.serve();
    pair.peer.wire.0.lock().unwrap().to_client.extend([0x17, 3, 3, 0, 32]);
    pair.peer.wire.0.lock().unwrap().to_client.extend([7; 32]);
    let mut got = BytesMut::new();
    assert!(matches!(pair.read(&mut got), Poll::Ready(Ok(10))));
    let Poll::Ready(Err(error)) = pair.read(&mut got) else { panic!("a record that cannot be decrypted") };
    assert!(matches!(cause(error), Cause::Tls(_)));
}

#[test]
fn the_last_write_is_made_once() {
    let mut pair = Pair::new(&version::TLS13);
    let all = bytes(400_000);
    pair.peer.room(10);
    let _ = pair.write(&[IoSlice::new(&all)]);
    let begun = pair.tls.begun();
    assert_eq!(begun, BATCH);
    // A user's stream is not written without being polled; this checks what would be written.
    pair.tls.seal(&[IoSlice::new(&all)], begun, usize::MAX).unwrap();
    assert_eq!(pair.tls.begun(), all.len());
    pair.peer.room(1 << 24);
    while !pair.tls.outgoing.is_empty() {
        let _ = pair.tls.poll_out(&mut pair.lower, &mut Context::from_waker(Waker::noop()));
    }
    pair.peer.serve();
    assert!(pair.peer.decrypted == all);
}
