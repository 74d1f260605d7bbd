//! Secrets are removed from the process's memory when they are no longer needed. The tests search the memory itself.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nats_lifeline::ConnectOptions;
use zeroize::Zeroize;

use crate::support::Server;
use crate::support::jwt::{Key, Kind, Operator};

const ROLE: &str = "NATS_LIFELINE_WIPED_ROLE";
const ADDRESS: &str = "NATS_LIFELINE_WIPED_ADDRESS";
const FILE: &str = "NATS_LIFELINE_WIPED_FILE";
const MASKED: &str = "NATS_LIFELINE_WIPED_MASKED";

/// Hides the secret from the search in places where it must not be found.
const MASK: u8 = 0x40;

fn mask(text: &str) -> String {
    text.bytes().map(|byte| format!("{:02x}", byte ^ MASK)).collect()
}

/// Runs the test `child` of this binary in its own process: this process needs the secret for its server.
async fn run(role: &str, server: &Server, secret: &str, file: &str) {
    let own = std::env::current_exe().unwrap();
    let mut child = Command::new(own);
    child.args(["--exact", "wiped::child", "--ignored", "--nocapture"]);
    child.env(ROLE, role).env(ADDRESS, server.address()).env(MASKED, mask(secret)).env(FILE, file);
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{role}: {said}");
}

/// So long that its freed memory is not immediately reused for something else of the same size.
fn long(begin: &str) -> String {
    (0..600).fold(begin.to_owned(), |text, n| format!("{text}-{n:03}"))
}

#[tokio::test]
async fn a_password_is_wiped_with_its_client() {
    let secret = long("correct");
    let server = Server::builder().user_and_password("ada", &secret).start().await;
    run("password", &server, &secret, "").await;
}

#[tokio::test]
async fn a_token_is_wiped_with_its_client() {
    let secret = long("horse");
    let server = Server::builder().token(&secret).start().await;
    run("token", &server, &secret, "").await;
}

// Fault H7: addresses are cloned in many places, and none of the copies was checked.
#[tokio::test]
async fn a_password_in_an_address_is_wiped_with_its_client() {
    let secret = long("battery");
    let server = Server::builder().user_and_password("ada", &secret).start().await;
    run("address", &server, &secret, "").await;
}

// Fault H7
#[tokio::test]
async fn a_token_in_an_address_is_wiped_with_its_client() {
    let secret = long("staple");
    let server = Server::builder().token(&secret).start().await;
    run("token address", &server, &secret, "").await;
}

#[tokio::test]
async fn the_seed_of_an_nkey_is_wiped_before_the_connection_is_ready() {
    let key = Key::new(Kind::User);
    let server =
        Server::builder().line(format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public())).start().await;
    run("nkey", &server, &key.seed(), "").await;
}

#[tokio::test]
async fn the_seed_of_a_credentials_file_is_wiped_before_the_connection_is_ready() {
    let operator = Operator::new();
    let server = operator.server(&[]).start().await;
    let user = operator.user(None);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-wiped.creds", std::process::id()));
    fs::write(&path, user.creds()).unwrap();
    run("file", &server, &user.key.seed(), path.to_str().unwrap()).await;
    fs::remove_file(&path).unwrap();
}

#[tokio::test]
#[ignore = "only for the tests that start it"]
async fn child() {
    let role = std::env::var(ROLE).expect("this is a part of the other tests");
    let address = std::env::var(ADDRESS).unwrap();
    let masked = std::env::var(MASKED).unwrap();
    let masked: Vec<u8> = masked
        .as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect();
    // With capacity from the start: a growing text leaves copies of its beginning.
    let secret = || {
        let mut text = String::with_capacity(masked.len());
        text.extend(masked.iter().map(|byte| char::from(byte ^ MASK)));
        text
    };
    let mut search = Search::new(&masked);
    let mut kept = secret();
    assert_ne!(search.count(), 0, "the search does not find what is there: {} bytes", kept.len());
    kept.zeroize();
    let given = ConnectOptions::new().max_reconnects(1);
    let options = match role.as_str() {
        "password" => given.user_and_password("ada".to_owned(), secret()),
        "token" => given.token(secret()),
        "address" | "token address" => given,
        "nkey" => given.nkey(secret()),
        "file" => given.credentials_file(std::env::var(FILE).unwrap()).await.unwrap(),
        other => panic!("no role {other}"),
    };
    // Secrets that are sent as they are will be needed for the next connection.
    let in_address = role.ends_with("address");
    let stays = matches!(role.as_str(), "password" | "token") || in_address;
    assert_eq!(search.count() > 0, stays && !in_address, "{role}: it is still there");
    let client = if in_address {
        let mut password = secret();
        let user = if role == "address" { "ada:" } else { "" };
        let mut url = String::with_capacity(password.len() + address.len() + 20);
        [user, &password, "@", &address].into_iter().for_each(|part| url.push_str(part));
        password.zeroize();
        let client = options.connect(&url).await.unwrap();
        url.zeroize();
        client
    } else {
        options.connect(&address).await.unwrap()
    };
    client.flush().await.unwrap();
    // One copy in the options; or, in an address, those of the pool (as typed and decoded) and of the connection. No
    // copy elsewhere: neither in CONNECT nor in the values that CONNECT was made from.
    let kept = if in_address { 4 } else { usize::from(stays) };
    assert_eq!(search.count(), kept, "{role}: while it is connected");
    client.force_reconnect().await.unwrap();
    client.flush().await.unwrap();
    // The connection that was left keeps its address until it has ended.
    for _ in 0..100 {
        if search.count() == kept {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(search.count(), kept, "{role}: with another connection");
    client.close().await.unwrap();
    drop(client);
    for _ in 0..100 {
        if search.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{role}: it is still there {} times", search.count());
}

/// Searches the writable memory of this process for a secret, without allocating: that could overwrite freed memory.
struct Search {
    /// The last bytes of the secret: allocators overwrite the beginning of freed memory.
    masked: [u8; 32],
    maps: String,
    memory: File,
    piece: Vec<u8>,
}

impl Search {
    fn new(masked: &[u8]) -> Search {
        let masked = *masked.last_chunk().unwrap();
        let maps = String::with_capacity(1 << 20);
        Search { masked, maps, memory: File::open("/proc/self/mem").unwrap(), piece: vec![0; 1 << 16] }
    }

    /// Counts the copies.
    fn count(&mut self) -> usize {
        self.maps.clear();
        File::open("/proc/self/maps").unwrap().read_to_string(&mut self.maps).unwrap();
        let maps = std::mem::take(&mut self.maps);
        let mut count = 0;
        for line in maps.lines() {
            let mut fields = line.split(' ');
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            if rights.starts_with("rw") {
                let (from, to) = range.split_once('-').unwrap();
                let [from, to] = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap());
                count += self.count_between(from, to);
            }
        }
        self.maps = maps;
        count
    }

    fn count_between(&mut self, from: u64, to: u64) -> usize {
        let Search { masked, memory, piece, .. } = self;
        let own = piece.as_ptr() as u64;
        let own = own..own + piece.len() as u64;
        let (mut at, mut count) = (from, 0);
        while at < to {
            memory.seek(SeekFrom::Start(at)).unwrap();
            let most = piece.len().min(usize::try_from(to - at).unwrap());
            // Some mapped memory cannot be read.
            let Ok(read @ 1..) = memory.read(&mut piece[..most]) else { break };
            let piece = &piece[..read];
            let is_secret = |begin: &usize| {
                let window = piece.get(*begin..*begin + masked.len()).unwrap_or_default();
                // The buffer of the search has copies too.
                let elsewhere = !own.contains(&(at + *begin as u64));
                elsewhere
                    && window.len() == masked.len()
                    && window.iter().zip(&*masked).all(|(byte, masked)| byte ^ MASK == *masked)
            };
            count += memchr::memchr_iter(masked[0] ^ MASK, piece).filter(is_secret).count();
            // A copy across the border is found in the next piece.
            let whole = at + read as u64 == to || read < masked.len();
            at += if whole { read } else { read - masked.len() + 1 } as u64;
        }
        count
    }
}
