//! Puts the journal of an interrupted commit in place, before anything is repaired.

use super::keep::remove_journal_record;
use super::work::Work;
use crate::error::{Error, Result};

/// Puts a committed journal in place, and removes one that was not committed. A damaged committed
/// journal is lost: its records are kept if they fit, and other stages repair what it has changed
/// in part.
pub(super) fn settle(work: &mut Work<'_>) -> Result<()> {
    let key = work.writer.key(|keys, key| keys.journal_commit(key));
    match work.writer.settle_journal() {
        Ok(false) => Ok(()),
        Ok(true) => {
            work.note(
                key,
                "the journal of an interrupted commit was put in place, or removed if it was not committed",
            );
            Ok(())
        }
        Err(Error::Damaged(_)) => {
            let (parts, end) = work.writer.keys.journal_parts();
            let mut keys = vec![key.clone()];
            let mut start = parts;
            loop {
                let page = work.writer.scan(&start, &end)?;
                let Some(last) = page.last() else { break };
                start = [&*last.key, &[0]].concat();
                keys.extend(page.into_iter().map(|entry| entry.key));
            }
            for key in keys {
                remove_journal_record(work, key, "a record of a journal that is not whole")?;
            }
            work.writer.flush()?;
            work.writer.set_journal(false);
            work.writer.put_superblock()?;
            work.note(key, "changes that were only in the damaged journal are lost");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
