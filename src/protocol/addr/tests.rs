//! Server addresses: what is read, what is refused, and that no secret is shown.
