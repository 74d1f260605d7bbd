//! The proxy's work for each connection: accept, carry bytes, and end it on command.

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use super::super::process::no_fork;
use super::{Cut, Direction, Door, Passage, Reader, Settings, Watch};

/// Listens on a reserved port. A child that another test has just started may have a copy of the earlier listener,
/// until it runs its program.
async fn listen(port: u16) -> TcpListener {
    let begun = Instant::now();
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return listener,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < Duration::from_secs(10) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("port {port}, which is reserved: {error}"),
        }
    }
}

/// Accepts connections while the proxy's door allows it. Dropping the set ends them all.
pub(super) async fn accept(
    port: u16,
    board: Arc<watch::Sender<Settings>>,
    say: watch::Sender<bool>,
    passages: Arc<Mutex<Vec<Passage>>>,
    watch: Watch,
) {
    let mut settings = board.subscribe();
    let mut connections = JoinSet::new();
    loop {
        if settings.borrow_and_update().door == Door::Refusing {
            say.send_replace(false);
            if settings.changed().await.is_err() {
                return;
            }
            continue;
        }
        let listener = listen(port).await;
        say.send_replace(true);
        while settings.borrow_and_update().door != Door::Refusing {
            tokio::select! {
                changed = settings.changed() => if changed.is_err() { return },
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    if settings.borrow().one_at_a_time {
                        board.send_modify(|settings| {
                            settings.cuts += 1;
                            settings.cut_how = Cut::Rst;
                        });
                    }
                    if settings.borrow().narrow {
                        let _ = SockRef::from(&client).set_recv_buffer_size(128 * 1024);
                    }
                    let number = {
                        let mut passages = passages.lock().unwrap();
                        passages.push(Passage { accepted: Instant::now(), to_server: 0, to_client: 0, open: true, sent: Vec::new() });
                        passages.len() - 1
                    };
                    connections.spawn(connection(client, Arc::clone(&board), Arc::clone(&passages), number, watch()));
                }
            }
        }
        // So that the socket is really closed.
        let forking = no_fork();
        drop(listener);
        drop(forking);
    }
}

/// Carries one connection to its end.
async fn connection(
    mut client: TcpStream,
    board: Arc<watch::Sender<Settings>>,
    passages: Arc<Mutex<Vec<Passage>>>,
    number: usize,
    reader: Reader,
) {
    let mut settings = board.subscribe();
    let now = *settings.borrow_and_update();
    if now.door == Door::Silent {
        // Kept open without sending anything, until it is cut or the proxy is dropped.
        while settings.borrow_and_update().cuts == now.cuts {
            if settings.changed().await.is_err() {
                break;
            }
        }
    } else if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, now.target)).await {
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let end = {
            let (client_reads, client_writes) = client.split();
            let (server_reads, server_writes) = server.split();
            let recording = now.recording;
            let reader = Mutex::new(reader);
            let count = |direction, bytes: &[u8]| {
                if direction == Direction::ToServer {
                    reader.lock().unwrap()(bytes);
                }
                let passage = &mut passages.lock().unwrap()[number];
                match direction {
                    Direction::ToServer => {
                        passage.to_server += bytes.len() as u64;
                        if recording {
                            passage.sent.extend_from_slice(bytes);
                        }
                    }
                    Direction::ToClient => passage.to_client += bytes.len() as u64,
                }
            };
            let up = pump(Direction::ToServer, client_reads, server_writes, &board, now, &count);
            let down = pump(Direction::ToClient, server_reads, client_writes, &board, now, &count);
            tokio::try_join!(up, down).err()
        };
        match end {
            Some(Cut::Rst) => {
                let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
                let _ = SockRef::from(&server).set_linger(Some(Duration::ZERO));
            }
            Some(Cut::Fin) => {
                passages.lock().unwrap()[number].open = false;
                let _ = tokio::join!(client.shutdown(), server.shutdown());
                // Unread bytes in a closed socket would turn its FIN into a RST.
                let rest = async { tokio::join!(discard(&mut client), discard(&mut server)) };
                let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
            }
            None => {}
        }
    } else {
        // A proxy in front of a dead server: the client gets a reset instead of a refusal.
        let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
    }
    passages.lock().unwrap()[number].open = false;
}

/// Moves bytes in one direction. Ok at the end of the stream, which it passes on; Err when the connection is to be cut.
async fn pump(
    direction: Direction,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    board: &watch::Sender<Settings>,
    begun: Settings,
    count: &impl Fn(Direction, &[u8]),
) -> Result<(), Cut> {
    let mut settings = board.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    let mut passed = 0_u64;
    loop {
        let now = *settings.borrow_and_update();
        let faults = *now.faults(direction);
        if now.cuts != begun.cuts {
            return Err(now.cut_how);
        }
        if direction == Direction::ToClient && now.hang_ups != begun.hang_ups {
            let _ = to.shutdown().await;
            // The server's bytes are read all the same: unread bytes would turn the end into a reset.
            tokio::select! {
                how = cut_requested(&mut settings, begun.cuts) => return Err(how),
                () = discard(&mut from) => return Ok(()),
            }
        }
        let mut room = buffer.len();
        if let Some((at, how)) = faults.cut_at {
            if passed >= at {
                let taken = board.send_if_modified(|settings| settings.faults_mut(direction).cut_at.take().is_some());
                if taken {
                    return Err(how);
                }
                continue;
            }
            room = room.min(usize::try_from(at - passed).unwrap_or(usize::MAX));
        }
        if let Some(rate) = faults.bytes_per_second {
            room = room.min(usize::try_from(rate / 50).unwrap_or(usize::MAX).max(1));
        }
        if faults.frozen {
            let _ = settings.changed().await;
            continue;
        }
        let read = tokio::select! {
            // A change that was made before the bytes arrived applies to them.
            biased;
            changed = settings.changed() => {
                if changed.is_err() {
                    return Err(Cut::Rst);
                }
                continue;
            }
            read = from.read(&mut buffer[..room]) => read,
        };
        let bytes = match read {
            Ok(0) => {
                let _ = to.shutdown().await;
                return Ok(());
            }
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(Cut::Rst),
            Err(_) => return Err(Cut::Fin),
        };
        // Counted first: a peer that has received these bytes finds them counted.
        count(direction, bytes);
        let mut left = bytes;
        while !left.is_empty() {
            let piece = if faults.one_byte_writes { &left[..1] } else { left };
            let written = tokio::select! {
                biased;
                how = cut_requested(&mut settings, begun.cuts) => return Err(how),
                written = to.write(piece) => written,
            };
            match written {
                Ok(written) => left = &left[written..],
                Err(_) => return Err(Cut::Rst),
            }
            if faults.one_byte_writes {
                tokio::task::yield_now().await;
            }
        }
        passed += bytes.len() as u64;
        if let Some(rate) = faults.bytes_per_second {
            tokio::time::sleep(Duration::from_secs_f64(bytes.len() as f64 / rate as f64)).await;
        }
    }
}

/// Ready when this connection is to end, even while a write is stuck.
async fn cut_requested(settings: &mut watch::Receiver<Settings>, cuts: u64) -> Cut {
    match settings.wait_for(|settings| settings.cuts != cuts).await {
        Ok(settings) => settings.cut_how,
        Err(_) => Cut::Rst,
    }
}

async fn discard(stream: &mut (impl AsyncRead + Unpin)) {
    let mut sink = [0; 16 * 1024];
    while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
}
