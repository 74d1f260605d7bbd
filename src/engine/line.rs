//! A line to one server: an attempt, and the connection that it becomes.

use super::attempt::Attempt;
use super::connection::Connection;

/// A line to one server.
#[derive(Debug)]
pub(super) enum Line {
    /// The driver looks up the name and connects.
    Dialing(Box<Attempt>),
    /// The byte stream exists.
    Up(Box<Connection>),
}

impl Line {
    pub(super) fn attempt(&self) -> &Attempt {
        match self {
            Line::Dialing(attempt) => attempt,
            Line::Up(connection) => &connection.attempt,
        }
    }

    pub(super) fn connection(&self) -> Option<&Connection> {
        match self {
            Line::Up(connection) => Some(connection),
            Line::Dialing(_) => None,
        }
    }

    pub(super) fn connection_mut(&mut self) -> Option<&mut Connection> {
        match self {
            Line::Up(connection) => Some(connection),
            Line::Dialing(_) => None,
        }
    }
}
