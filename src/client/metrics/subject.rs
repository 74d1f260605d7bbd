//! Subjects as labels, without the tokens that differ in every subject.

use std::borrow::Cow;

const ID: &str = "{id}";
const UUID: &str = "{uuid}";
const INBOX: &str = "_INBOX.{id}";

/// Returns `subject` with tokens that identify a single thing replaced: a UUID, in upper or lower case, becomes
/// `{uuid}`, and a token of digits only becomes `{id}`; everything after `_INBOX` becomes one `{id}`. A token,
/// including the first one, is replaced as a whole or not at all. The result may still have many values: names, hashes
/// and dates with dashes are kept.
///
/// ```
/// use nats_lifeline::client::metrics::subject_label;
///
/// assert_eq!(subject_label("orders.17.new"), "orders.{id}.new");
/// assert_eq!(subject_label("users.0191d4e6-7bb0-7c3a-9e5d-0242ac120002"), "users.{uuid}");
/// assert_eq!(subject_label("_INBOX.Wn3pQ0.7"), "_INBOX.{id}");
/// assert_eq!(subject_label("orders.17a"), "orders.17a");
/// ```
pub fn subject_label(subject: &str) -> Cow<'_, str> {
    if subject.starts_with("_INBOX.") {
        return Cow::Borrowed(INBOX);
    }
    if subject.split('.').all(|token| placeholder(token.as_bytes()).is_none()) {
        return Cow::Borrowed(subject);
    }
    let mut label = String::with_capacity(subject.len());
    for (at, token) in subject.split('.').enumerate() {
        if at > 0 {
            label.push('.');
        }
        label.push_str(placeholder(token.as_bytes()).unwrap_or(token));
    }
    Cow::Owned(label)
}

/// Whether messages to other subjects than itself have this label.
pub(super) fn is_pattern(label: &str) -> bool {
    label.split('.').any(|token| ["*", ">", ID, UUID].contains(&token))
}

/// Whether a message to `subject` counts under `label`: a subject, or a pattern with wildcards and placeholders. What
/// [`subject_label`] makes of a subject fits that subject.
pub(super) fn fits(label: &[u8], subject: &[u8]) -> bool {
    if label == INBOX.as_bytes() {
        return subject.starts_with(b"_INBOX.");
    }
    let mut tokens = subject.split(|byte| *byte == b'.');
    let mut wanted = label.split(|byte| *byte == b'.').peekable();
    while let Some(want) = wanted.next() {
        let Some(token) = tokens.next() else { return false };
        let any = match want {
            b">" if wanted.peek().is_none() => return true,
            b"*" => true,
            _ => false,
        };
        if !any && want != token && placeholder(token).map(str::as_bytes) != Some(want) {
            return false;
        }
    }
    tokens.next().is_none()
}

fn placeholder(token: &[u8]) -> Option<&'static str> {
    if !token.is_empty() && token.iter().all(u8::is_ascii_digit) {
        Some(ID)
    } else if is_uuid(token) {
        Some(UUID)
    } else {
        None
    }
}

/// Eight, four, four, four and twelve hexadecimal digits with dashes between them (RFC 9562, section 4).
fn is_uuid(token: &[u8]) -> bool {
    token.len() == 36
        && token.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // S60
    #[test]
    fn only_whole_tokens_are_replaced() {
        let uuid = "0191d4e6-7bb0-7c3a-9e5d-0242ac120002";
        let upper = uuid.to_uppercase();
        let cases = [
            ("orders.new", "orders.new"),
            ("orders.17", "orders.{id}"),
            ("orders.17.lines.4", "orders.{id}.lines.{id}"),
            ("17.orders", "{id}.orders"),
            ("17", "{id}"),
            ("0", "{id}"),
            ("orders.17a.a17", "orders.17a.a17"),
            ("orders.-17.1_7", "orders.-17.1_7"),
            (&format!("users.{uuid}.seen"), "users.{uuid}.seen"),
            (&format!("{upper}.{uuid}.5"), "{uuid}.{uuid}.{id}"),
            // One digit too many, too few, a wrong letter, and dashes elsewhere.
            (&format!("u.{uuid}0"), &format!("u.{uuid}0")),
            (&format!("u.{}", &uuid[1..]), &format!("u.{}", &uuid[1..])),
            ("u.0191d4e6-7bb0-7c3a-9e5d-0242ac12000g", "u.0191d4e6-7bb0-7c3a-9e5d-0242ac12000g"),
            ("u.0191d4e67-bb0-7c3a-9e5d-0242ac120002", "u.0191d4e67-bb0-7c3a-9e5d-0242ac120002"),
            ("u.0191d4e6a7bb0a7c3aa9e5da0242ac120002", "u.0191d4e6a7bb0a7c3aa9e5da0242ac120002"),
            // Digits of other scripts count as letters: exporters accept them, and they are not used for ids.
            ("u.١٢٣", "u.١٢٣"),
            ("_INBOX.Wn3pQ0.7", "_INBOX.{id}"),
            ("_INBOXES.Wn3pQ0", "_INBOXES.Wn3pQ0"),
            ("", ""),
            ("a..5", "a..{id}"),
        ];
        for (subject, label) in cases {
            assert_eq!(subject_label(subject), label, "{subject}");
            assert!(fits(label.as_bytes(), subject.as_bytes()), "{label} {subject}");
        }
    }

    #[test]
    fn a_label_of_a_label_is_the_same() {
        for subject in ["orders.17.x", "u.0191d4e6-7bb0-7c3a-9e5d-0242ac120002", "_INBOX.a.b", "plain"] {
            let label = subject_label(subject);
            assert_eq!(subject_label(&label), label);
        }
    }
}
