//! The JetStream of `testing::Broker` answers as a real server does: the same script runs against both, and everything that
//! comes back is compared, field by field. Times are left out, and so is what says which server it is.

mod acks;
mod consumers;
mod publishing;
mod pulls;
mod push;
mod script;
mod streams;
