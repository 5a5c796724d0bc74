//! Claims about what is there after the end of whoever applied it, for stores that outlive their openers.

use super::{Checked, Outcome, Report, claim, clear, delete, put, value_of, write};
use crate::{Durability, StoreError, SyncStore};

/// Opens the store once more. What had it open before is gone, without having been told anything.
pub type Open<'a> = dyn FnMut() -> Result<Box<dyn SyncStore>, StoreError> + 'a;

/// A claim and its check.
type Claim = (&'static str, fn(&mut Open<'_>) -> Checked);

const CLAIMS: [Claim; 3] = [
    ("what_was_applied_durably_is_there_when_the_store_is_opened_again", durable_is_there),
    ("what_was_applied_buffered_is_there_when_the_store_is_opened_again", buffered_is_there),
    ("what_was_removed_stays_removed_when_the_store_is_opened_again", removed_stays_removed),
];

/// Checks what a store keeps from one opening to the next. It must be empty and is left empty.
///
/// What only a crash of the machine shows is beyond this.
pub fn check_reopening(open: &mut Open<'_>) -> Report {
    let mut outcomes = Vec::new();
    for (claim, check) in CLAIMS {
        let failure = check(open).and_then(|()| clear(&*open()?)).err().map(|failure| failure.0);
        outcomes.push(Outcome { claim, failure });
    }
    Report { outcomes }
}

fn durable_is_there(open: &mut Open<'_>) -> Checked {
    open()?.apply(&[], &[put(b"a", b"1"), put(b"b", &[7; 5000])], Durability::Durable)?;
    let store = open()?;
    claim!(value_of(&*store, b"a")?.as_deref() == Some(b"1"), "a value of 1 byte is not there");
    claim!(value_of(&*store, b"b")?.as_deref() == Some(&[7; 5000][..]), "a value of 5000 bytes is not there");
    Ok(())
}

fn buffered_is_there(open: &mut Open<'_>) -> Checked {
    let store = open()?;
    write(&*store, &[put(b"a", b"1")])?;
    write(&*store, &[put(b"b", b"2")])?;
    drop(store);
    let store = open()?;
    for (key, value) in [(b"a", b"1"), (b"b", b"2")] {
        let found = value_of(&*store, key)?;
        claim!(found.as_deref() == Some(value), "{key:?} has the value {found:?}");
    }
    Ok(())
}

fn removed_stays_removed(open: &mut Open<'_>) -> Checked {
    let store = open()?;
    store.apply(&[], &[put(b"a", b"1"), put(b"b", b"2")], Durability::Durable)?;
    drop(store);
    let store = open()?;
    write(&*store, &[delete(b"a"), put(b"b", b"3")])?;
    drop(store);
    let store = open()?;
    claim!(value_of(&*store, b"a")?.is_none(), "a removed key has its old value");
    claim!(value_of(&*store, b"b")?.as_deref() == Some(b"3"), "a replaced value is there again");
    Ok(())
}
