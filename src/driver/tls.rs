//! TLS over a byte stream, with an exact account of what that stream took (D4).
//!
//! This module drives the session itself, without an adapter, because it must know which plaintext is in which record.
//! A frame is ours until the record with its last byte was taken whole: before that no peer can decrypt it.

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

/// Plaintext bytes of one record: the most that TLS allows (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;

/// Plaintext that is encrypted at a time; the stream must take all of it before more is encrypted. With a quarter of it,
/// the writes are smaller, and messages cost a sixth more CPU; eight records are in between.
const BATCH: usize = 16 * RECORD;

/// The initial size of the read buffer, enough for one record of ordinary length.
const READ_MIN: usize = 4 * 1024;

/// The size to which it grows when reads fill it.
const READ_MAX: usize = 64 * 1024;

/// A TLS session after its handshake. Each call that reads or writes gets the stream below it.
pub(super) struct Tls {
    session: ClientConnection,
    /// Received ciphertext that the session has not processed.
    incoming: BytesMut,
    /// How much is read at a time.
    want: usize,
    /// Ciphertext; `written <= outgoing.len()`.
    outgoing: Vec<u8>,
    written: usize,
    /// The plaintext sizes of the records in `outgoing`, in order.
    sealed: VecDeque<Sealed>,
    /// Why nothing more can be read; reported after what was read before.
    fault: Option<io::Error>,
    /// Writing has failed.
    broken: bool,
}

/// A piece of `outgoing`: one record of messages, or TLS's own data.
#[derive(Clone, Copy, Debug)]
struct Sealed {
    /// Plaintext bytes of messages in it.
    plain: usize,
    /// Its end in `outgoing`.
    end: usize,
}

impl Tls {
    /// A session after its handshake. `incoming`: received ciphertext that it has not processed.
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
                // The stream ended without a close_notify, which does not matter: messages have their length.
                return Poll::Ready(Ok(0));
            }
            if let Err(error) = self.feed(lower) {
                self.fault = Some(error);
            }
        }
    }

    /// Moves plaintext to `buf` as far as there is room. Returns whether the server has ended the session.
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
                // No plaintext for now; an end without a close_notify is seen by the read itself.
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

    /// Gives the session a piece of the received ciphertext.
    fn feed(&mut self, lower: &mut Lower) -> io::Result<()> {
        let mut rest: &[u8] = &self.incoming;
        let n = self.session.read_tls(&mut rest)?;
        self.incoming.advance(n);
        if n == 0 {
            // After the end of the session.
            self.incoming.clear();
        }
        let outcome = self.session.process_new_packets();
        self.collect();
        if let Err(error) = outcome {
            // Sends an alert, unless messages come before it, which would leave uncounted.
            if self.begun() == 0 {
                self.push_out(lower);
            }
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(())
    }

    /// Collects TLS's own data.
    fn collect(&mut self) {
        if self.session.wants_write() {
            self.take_records(0);
        }
    }

    fn take_records(&mut self, plain: usize) {
        while self.session.wants_write() {
            // Writing to a vector cannot be short.
            let _ = self.session.write_tls(&mut self.outgoing);
        }
        self.sealed.push_back(Sealed { plain, end: self.outgoing.len() });
    }

    /// Writes `parts`, which begin with the bytes that were [`begun`](Tls::begun) before. Returns how many bytes are in
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

    /// Plaintext that was encrypted and not taken.
    pub(super) fn begun(&self) -> usize {
        self.sealed.iter().map(|sealed| sealed.plain).sum()
    }

    /// Encrypts plaintext after the first `skip` bytes: at most `most` bytes, rounded up to a record.
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
            return Err(io::Error::other("the TLS session did not accept a whole record"));
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
                // A stream that may have passed on some ciphertext may have passed on all of it.
                let doubtful = if doubtful > 0 { self.begun() } else { 0 };
                Poll::Ready(Err(WriteFailed { doubtful, error }))
            }
        }
    }

    /// The lower stream took `n` bytes of ciphertext; returns how much plaintext is in the records that are complete
    /// now.
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

    /// Whether there is data to write that is not part of a message.
    pub(super) fn is_unflushed(&self, lower: &Lower) -> bool {
        !self.broken && ((!self.outgoing.is_empty() && self.begun() == 0) || lower.is_unflushed())
    }

    /// Writes TLS's own data. Messages leave only through [`poll_write`](Tls::poll_write), which counts them.
    pub(super) fn poll_flush(&mut self, lower: &mut Lower, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() && self.begun() == 0 && !self.broken {
            ready!(self.poll_out(lower, cx)).map_err(|failed| failed.error)?;
        }
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        lower.poll_flush(cx)
    }

    /// Writes what can be written without waiting. Returns how many bytes may have been written.
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
        // It is unknown how much was written, so nothing may follow.
        self.broken = true;
    }

    /// Nothing more will be written. A partial record stays partial.
    pub(super) fn finish(&mut self, lower: &mut Lower) {
        if self.outgoing.is_empty() && !self.broken {
            self.session.send_close_notify();
            self.collect();
            self.push_out(lower);
        }
    }

    /// Frees unused memory.
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
