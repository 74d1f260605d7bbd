//! The broker of `testing`, over raw TCP: it must speak as nats-server does, break as told, and
//! be honest about what it saw.

mod benchmark_ends;
mod faults;
mod protocol;
mod raw;
mod replies;

type Outcome = Result<(), Box<dyn std::error::Error>>;
