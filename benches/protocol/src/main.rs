//! Runs one case a given number of times, for tools that count: `one NAME COUNT`; without arguments, prints the names.
//!
//! For instructions per operation: `benches/protocol/instructions`.

use std::time::Instant;

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        return protocol_bench::cases().iter().for_each(|case| println!("{}", case.name));
    };
    let count = args.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let Some(mut case) = protocol_bench::cases().into_iter().find(|case| case.name == name) else {
        eprintln!("no case is called {name}");
        std::process::exit(1);
    };
    let begun = Instant::now();
    case.run(count);
    let seconds = begun.elapsed().as_secs_f64();
    println!("{name}: {count} in {seconds:.3} s, {:.1} million a second", count as f64 / seconds / 1e6);
}
