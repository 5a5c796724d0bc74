//! Tells the caller of faults that programs see as `EIO` only.

use kvfs::{Code, Error, StoreError};
use std::time::{Duration, Instant};

/// The same fault is told again after this time.
const REPEATED_AFTER: Duration = Duration::from_secs(60);

/// Most characters of a message: a store may answer with any text.
const MAX_MESSAGE_CHARS: usize = 500;

/// Tells each fault once in a while, and a fenced writer once.
pub(crate) struct Teller {
    tell: Box<dyn FnMut(&str) + Send>,
    last: Option<(String, Instant)>,
    fenced: bool,
}

impl Teller {
    pub(crate) fn new(tell: Box<dyn FnMut(&str) + Send>) -> Self {
        Self { tell, last: None, fenced: false }
    }

    /// Tells of an error, if it is a fault of the volume or of its store.
    pub(crate) fn note(&mut self, error: &Error) {
        let is_fault = matches!(error.code(), Code::Io)
            || matches!(error, Error::Store(StoreError::AccessDenied | StoreError::ReadOnly));
        if !is_fault || self.fenced {
            return;
        }
        self.fenced = *error == Error::Fenced;
        let then = if self.fenced {
            "every call fails from now on; unmount, end the other program, and mount again"
        } else {
            "what was written stays in memory, and is stored when the store takes it"
        };
        let error: String = error.to_string().chars().take(MAX_MESSAGE_CHARS).map(visible).collect();
        let message = format!("{error}; {then}");
        let is_known =
            self.last.as_ref().is_some_and(|(last, at)| *last == message && at.elapsed() < REPEATED_AFTER);
        if !is_known {
            (self.tell)(&message);
            self.last = Some((message, Instant::now()));
        }
    }
}

fn visible(c: char) -> char {
    if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_fault_is_told_once_and_nothing_after_a_fence() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&told);
        let mut teller = Teller::new(Box::new(move |text| into.lock().unwrap().push(text.to_owned())));
        let gone = Error::Store(StoreError::Unavailable("line\nbreak".to_owned()));
        for error in [&Error::NoEntry, &Error::Quota, &gone, &gone, &Error::Fenced, &gone, &Error::Fenced] {
            teller.note(error);
        }
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("line\u{fffd}break") && told[1].contains("taken this volume over"),
            "{told:?}"
        );
    }
}
