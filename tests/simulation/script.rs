//! The script of a run: one line per stimulus. It is only written when a seed is run again because it has failed.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

#[derive(Clone, Default)]
pub(crate) struct Script {
    lines: Option<Rc<RefCell<Vec<String>>>>,
}

impl Script {
    pub(crate) fn kept() -> Script {
        Script { lines: Some(Rc::default()) }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    pub(crate) fn say(&self, at: Duration, what: fmt::Arguments<'_>) {
        if let Some(lines) = &self.lines {
            lines.borrow_mut().push(format!("{:>10.3} ms  {what}", at.as_secs_f64() * 1e3));
        }
    }

    pub(crate) fn text(&self, last: usize) -> String {
        let Some(lines) = &self.lines else { return String::new() };
        let lines = lines.borrow();
        let from = lines.len().saturating_sub(last);
        let before = if from > 0 { format!("({from} lines before these)\n") } else { String::new() };
        before + &lines[from..].join("\n")
    }
}

/// A line of the world's script; nothing is formatted while none is kept.
macro_rules! say {
    ($world:expr, $($what:tt)*) => {
        if $world.script.is_kept() {
            let at = $world.now - $world.start;
            $world.script.say(at, format_args!($($what)*));
        }
    };
}
pub(crate) use say;
