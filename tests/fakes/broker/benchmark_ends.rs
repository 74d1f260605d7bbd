//! The sink and the source: figures are worth something only if these count right.

use super::Outcome;
use nats_lifeline::testing::{Sink, Source};
use std::io::{Read, Write};
use std::time::Duration;

#[test]
fn the_sink_counts_and_answers_in_order_however_the_bytes_are_cut() -> Outcome {
    let block = "pub a 0003\r\nxyz\r\nHPUB a.b r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\nSUB a 1\r\n".repeat(50)
        + "PUB a.b 300000\r\n"
        + &"P".repeat(300_000)
        + "\r\nPING\r\n";
    for piece in [1 << 20, 4096, 7] {
        let sink = Sink::start()?;
        let mut client = std::net::TcpStream::connect(sink.addr())?;
        let mut answers = client.try_clone()?;
        let reader = std::thread::spawn(move || {
            let mut received = String::new();
            answers.read_to_string(&mut received).map(|_| received)
        });
        for bytes in block.as_bytes().chunks(piece) {
            client.write_all(bytes)?;
        }
        client.shutdown(std::net::Shutdown::Write)?;
        let received = reader.join().unwrap()?;
        assert_eq!(received.matches("PONG\r\n").count(), 51);
        assert_eq!((sink.messages(), sink.bytes()), (101, block.len() as u64), "{piece}");
    }
    // What does not end where it said is no figure to build on.
    let sink = Sink::start()?;
    let mut client = std::net::TcpStream::connect(sink.addr())?;
    client.write_all(b"PUB a 2\r\nxyz\r\nPUB a 2\r\nxy\r\n")?;
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap_or(0);
    assert_eq!(sink.messages(), 1);
    Ok(())
}

#[test]
fn the_source_sends_as_many_as_it_promised_and_ends_when_dropped() -> Outcome {
    let source = Source::start(20_000, 100)?;
    let mut client = std::net::TcpStream::connect(source.addr())?;
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    client.write_all(b"CONNECT {}\r\nSUB a.* 7\r\nPING\r\nSUB b 8\r\n")?;
    // INFO, PONG, and the two lots.
    let messages = 20_000 * ("MSG a.* 7 100\r\n\r\n".len() + "MSG b 8 100\r\n\r\n".len() + 200);
    let mut received = String::new();
    let mut piece = [0; 4096];
    loop {
        let info = received.find('\n').map_or(usize::MAX / 2, |end| end + 1);
        if received.len() >= info + "PONG\r\n".len() + messages {
            break;
        }
        let got = client.read(&mut piece)?;
        assert!(got > 0);
        received.push_str(std::str::from_utf8(&piece[..got])?);
    }
    assert_eq!(received.matches("MSG a.* 7 100\r\n").count(), 20_000);
    assert_eq!(received.matches("MSG b 8 100\r\n").count(), 20_000);
    assert_eq!(received.matches("PONG\r\n").count(), 1);
    assert_eq!(source.sent(), 40_000);
    drop(source);
    assert_eq!(client.read(&mut piece).unwrap_or(0), 0);
    Ok(())
}
