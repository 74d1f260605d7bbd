//! TLS over a byte stream, with an exact account of what that stream took (D4).
//!
//! The session is driven here and not by an adapter, since only so is it known which plaintext lies in which record. A
//! frame is ours until the record with its last byte was taken whole: before that no peer can decrypt it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, IoSlice, Write};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::ClientConnection;

pub(super) use self::handshake::handshake;
pub(super) use self::reason::cause;
use super::transport::{Lower, WriteFailed};

mod handshake;
mod reason;

#[cfg(test)]
#[cfg(feature = "ring")]
mod tests;

/// Plaintext of one record, bytes: the most that TLS allows (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;

/// Plaintext that is sealed at once; then the stream must have taken all of it before more is. Arbitrary: as much as a
/// chunk of the outbox.
const BATCH: usize = 4 * RECORD;

/// The buffer for what is read starts at this size, enough for one record of ordinary length.
const READ_MIN: usize = 4 * 1024;

/// And grows up to this when reads fill it.
const READ_MAX: usize = 64 * 1024;

/// A TLS session, whose handshake is done. Each call that reads or writes is given the stream below it.
pub(super) struct Tls {
    session: ClientConnection,
    /// Ciphertext that was read and that the session has not had.
    incoming: BytesMut,
    /// How much is read at once.
    want: usize,
    /// Ciphertext; `written <= outgoing.len()`.
    outgoing: Vec<u8>,
    written: usize,
    /// What the records in `outgoing` hold, in order.
    sealed: VecDeque<Sealed>,
    /// Why nothing more can be read, told behind what was read before.
    fault: Option<io::Error>,
    /// Writing has failed.
    broken: bool,
}

/// A piece of `outgoing`: one record of messages, or what TLS itself has to say.
#[derive(Clone, Copy, Debug)]
struct Sealed {
    /// Bytes of the user's in it.
    plain: usize,
    /// Where it ends in `outgoing`.
    end: usize,
}

impl Tls {
    /// A session whose handshake is done. `incoming`: ciphertext that was read and that it has not had.
    fn new(session: ClientConnection, incoming: BytesMut) -> Tls {
        Tls {
            session,
            incoming,
            want: READ_MIN,
            outgoing: Vec::new(),
            written: 0,
            sealed: VecDeque::new(),
            fault: None,
            broken: false,
        }
    }

    /// Reads into the spare capacity of `buf`; 0 is the end.
    pub(super) fn poll_read(
        &mut self,
        lower: &mut Lower,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let before = buf.len();
        loop {
            let ended = self.unpack(buf) || self.fault.is_some();
            let got = buf.len() - before;
            if got > 0 && (ended || self.incoming.is_empty() || buf.len() == buf.capacity()) {
                return Poll::Ready(Ok(got));
            }
            if ended {
                return Poll::Ready(self.fault.take().map_or(Ok(0), Err));
            }
            if self.incoming.is_empty() && ready!(self.poll_fill(lower, cx))? == 0 {
                // Without a last word of TLS, which is no matter: messages know their own length.
                return Poll::Ready(Ok(0));
            }
            if let Err(error) = self.feed(lower) {
                self.fault = Some(error);
            }
        }
    }

    /// Moves plaintext to `buf` as far as there is room. Tells whether the server has ended the session.
    fn unpack(&mut self, buf: &mut BytesMut) -> bool {
        loop {
            let room = buf.capacity() - buf.len();
            if room == 0 {
                return false;
            }
            let mut reader = self.session.reader();
            match reader.fill_buf() {
                Ok([]) => return true,
                Ok(chunk) => {
                    let (now, _) = chunk.split_at(chunk.len().min(room));
                    buf.extend_from_slice(now);
                    let taken = now.len();
                    reader.consume(taken);
                }
                // There is nothing for now: the end without a word of TLS is seen by the read itself.
                Err(_) => return false,
            }
        }
    }

    /// Reads ciphertext; 0 is the end.
    fn poll_fill(&mut self, lower: &mut Lower, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.incoming.reserve(self.want);
        let room = self.incoming.capacity() - self.incoming.len();
        let n = ready!(lower.poll_read(cx, &mut self.incoming))?;
        if n == room {
            self.want = (self.want * 4).min(READ_MAX);
        }
        Poll::Ready(Ok(n))
    }

    /// Gives the session a piece of what was read.
    fn feed(&mut self, lower: &mut Lower) -> io::Result<()> {
        let mut rest: &[u8] = &self.incoming;
        let n = self.session.read_tls(&mut rest)?;
        self.incoming.advance(n);
        if n == 0 {
            // Behind the end of the session.
            self.incoming.clear();
        }
        let outcome = self.session.process_new_packets();
        self.collect();
        if let Err(error) = outcome {
            // An alert, so that the server knows, unless messages stand before it, which would leave uncounted.
            if self.begun() == 0 {
                self.push_out(lower);
            }
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(())
    }

    /// Takes over what TLS itself wants to say.
    fn collect(&mut self) {
        if self.session.wants_write() {
            self.take_records(0);
        }
    }

    fn take_records(&mut self, plain: usize) {
        while self.session.wants_write() {
            // A vector takes everything.
            let _ = self.session.write_tls(&mut self.outgoing);
        }
        self.sealed.push_back(Sealed { plain, end: self.outgoing.len() });
    }

    /// Hands `parts` over. They begin with what was [`begun`](Tls::begun) before. What comes back is how many bytes lie in
    /// records that were taken whole.
    pub(super) fn poll_write(
        &mut self,
        lower: &mut Lower,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, WriteFailed>> {
        if self.outgoing.is_empty() {
            self.seal(parts, 0, BATCH).map_err(WriteFailed::certain)?;
        }
        self.poll_out(lower, cx)
    }

    /// Plaintext that is sealed and not taken.
    pub(super) fn begun(&self) -> usize {
        self.sealed.iter().map(|sealed| sealed.plain).sum()
    }

    /// Seals plaintext behind the first `skip` bytes: `most` bytes at most, rounded up to a record.
    fn seal(&mut self, parts: &[IoSlice<'_>], mut skip: usize, most: usize) -> io::Result<()> {
        let mut record: Vec<IoSlice<'_>> = Vec::with_capacity(parts.len().min(16));
        let (mut len, mut total) = (0, 0);
        for part in parts {
            let (skipped, mut rest) = part.split_at(skip.min(part.len()));
            skip -= skipped.len();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(RECORD - len));
                record.push(IoSlice::new(now));
                len += now.len();
                rest = later;
                if len == RECORD {
                    self.seal_record(&record, len)?;
                    total += len;
                    record.clear();
                    len = 0;
                    if total >= most {
                        return Ok(());
                    }
                }
            }
        }
        if len > 0 { self.seal_record(&record, len) } else { Ok(()) }
    }

    fn seal_record(&mut self, record: &[IoSlice<'_>], len: usize) -> io::Result<()> {
        let sealed = self.session.writer().write_vectored(record)?;
        if sealed != len {
            return Err(io::Error::other("TLS did not take a whole record"));
        }
        self.take_records(len);
        Ok(())
    }

    /// Writes ciphertext, once.
    fn poll_out(&mut self, lower: &mut Lower, cx: &mut Context<'_>) -> Poll<Result<usize, WriteFailed>> {
        let rest = self.outgoing.get(self.written..).unwrap_or_default();
        match ready!(lower.poll_write(cx, &[IoSlice::new(rest)])) {
            Ok(n) => Poll::Ready(Ok(self.advance(n))),
            Err(WriteFailed { doubtful, error }) => {
                self.broken = true;
                // A stream that may have passed ciphertext on may have passed on all of it.
                let doubtful = if doubtful > 0 { self.begun() } else { 0 };
                Poll::Ready(Err(WriteFailed { doubtful, error }))
            }
        }
    }

    /// The lower stream took `n` bytes of ciphertext; tells how much plaintext is in the records that are whole now.
    fn advance(&mut self, n: usize) -> usize {
        self.written += n;
        let mut taken = 0;
        while let Some(sealed) = self.sealed.front().copied().filter(|sealed| sealed.end <= self.written) {
            taken += sealed.plain;
            self.sealed.pop_front();
        }
        if self.written >= self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
        taken
    }

    /// Whether something is to be written that no message waits for.
    pub(super) fn is_unflushed(&self, lower: &Lower) -> bool {
        !self.broken && ((!self.outgoing.is_empty() && self.begun() == 0) || lower.is_unflushed())
    }

    /// Writes what TLS has to say. What messages are in leaves by [`poll_write`](Tls::poll_write) only, which counts it.
    pub(super) fn poll_flush(&mut self, lower: &mut Lower, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() && self.begun() == 0 && !self.broken {
            ready!(self.poll_out(lower, cx)).map_err(|failed| failed.error)?;
        }
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        lower.poll_flush(cx)
    }

    /// What can be written without waiting is: any of it, perhaps. Returns how much that is.
    pub(super) fn write_last(&mut self, lower: &mut Lower, parts: &[IoSlice<'_>]) -> usize {
        if self.broken || self.seal(parts, self.begun(), usize::MAX).is_err() {
            return 0;
        }
        self.push_out(lower);
        parts.iter().map(|part| part.len()).sum()
    }

    fn push_out(&mut self, lower: &mut Lower) {
        let rest = self.outgoing.get(self.written..).unwrap_or_default();
        if !rest.is_empty() {
            lower.write_last(&[IoSlice::new(rest)]);
        }
        // Nobody knows how far it came, so nothing may follow it.
        self.broken = true;
    }

    /// Nothing more will be written. A record that was cut stays cut, and takes nothing with it.
    pub(super) fn finish(&mut self, lower: &mut Lower) {
        if self.outgoing.is_empty() && !self.broken {
            self.session.send_close_notify();
            self.collect();
            self.push_out(lower);
        }
    }

    /// Gives unused memory back.
    pub(super) fn shrink(&mut self) {
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
        }
        if self.outgoing.is_empty() {
            self.outgoing = Vec::new();
        }
        self.sealed.shrink_to(4);
        self.want = READ_MIN;
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("begun", &self.begun()).finish_non_exhaustive()
    }
}
