//! Opens the store of a bucket: takes the right to write, reads the newest root, and removes what
//! others left.

use crate::bucket::Bucket;
use crate::commit::is_shadow;
use crate::error::{OpenError, damaged};
use crate::garbage::spilled_garbage;
use crate::head::{CLAIMS_KEPT, Head, Last, claimed, last};
use crate::names::{Extent, LAST, Opener, PageId, claim};
use crate::node::Change;
use crate::pages::Pages;
use crate::root::{Log, MAX_LEFTOVERS, Root};
use crate::session::{Session, State};
use crate::store::BucketStore;
use kvfs_contract::StoreError;
use std::collections::BTreeMap;

impl<B: Bucket> BucketStore<B> {
    /// Opens the store of a bucket, or makes one where there is none.
    ///
    /// `tag` is a random number. Two programs that open the store at the same moment need different
    /// ones.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if there was a store and none of its roots is whole;
    /// [`OpenError::Overtaken`] if another program opens it at the same moment, a little later.
    ///
    /// # Cost
    ///
    /// About ten gets and six sets, whatever the size of the store.
    pub fn open(bucket: B, tag: u64) -> Result<Self, OpenError> {
        let pages = Pages::new(bucket);
        let head = Head::take(&pages.bucket, tag)?;
        let found = match find_root(&pages.bucket, head.opener.epoch) {
            Ok(found) => found,
            // A newer opener may have removed what was to be read.
            Err(_) if !head.is_held(&pages.bucket)? => return Err(OpenError::Overtaken),
            Err(error) => return Err(error.into()),
        };
        build(pages, head, found).map(Self)
    }
}

/// Sets an own root with the same contents as the one found, and opens the store with it.
fn build<B: Bucket>(pages: Pages<B>, head: Head, found: Found) -> Result<Session<B>, OpenError> {
    let had_leftovers = !found.root.leftovers.is_empty();
    let mut root = found.root;
    let mut garbage = std::mem::take(&mut root.garbage);
    if let Some(opener) = found.opener {
        root.leftovers.push(PageId { opener, number: root.next });
        let forgotten = root.leftovers.len().saturating_sub(MAX_LEFTOVERS);
        root.leftovers.drain(..forgotten);
    }
    // Pages that list garbage stay until that garbage is gone.
    let spilled = root.spilled;
    (root.next, root.generation) = (0, 0);
    let mut changes = Vec::new();
    for (key, value) in &found.changes {
        crate::node::write_change(&mut changes, key, value.as_ref());
    }
    let mut session = Session {
        pages,
        log: Log::new(head.opener),
        head,
        root: Root::default(),
        overlay: BTreeMap::new(),
        shadows: found.changes.iter().filter(|(_, value)| is_shadow(value.as_ref())).count(),
        garbage: Vec::new(),
        state: State::Writable,
        unsettled: None,
    };
    root.garbage = garbage.clone();
    let (value, appended) = session.log.with(&changes, &root);
    session.set_root(&root, &value)?;
    session.head.set_last(&session.pages.bucket)?;
    if !session.head.is_held(&session.pages.bucket)? {
        return Err(OpenError::Overtaken);
    }

    // From here on every opener finds this root, so what others left can go.
    session.log.append(appended);
    session.overlay.extend(found.changes);
    if let Some(spilled) = spilled {
        garbage.splice(0..0, [spilled]);
        garbage.extend(spilled_garbage(&session.pages, spilled)?);
    }
    session.garbage = garbage;
    session.root = Root { garbage: Vec::new(), spilled: None, ..root };
    session.sweep();
    if session.clean_up(&found.gone) {
        session.root.leftovers.clear();
        if had_leftovers {
            // Without this, openers that change nothing would pass on ever more leftovers.
            session.commit_nothing()?;
        }
    }
    Ok(session)
}

/// The state that an opener finds.
#[derive(Default)]
struct Found {
    root: Root,
    changes: Vec<Change>,
    /// The opener whose root it is; `None` in an empty bucket.
    opener: Option<Opener>,
    /// All openers whose roots are useless now, that one included.
    gone: Vec<Opener>,
}

/// Returns the newest root of an opener before an epoch.
fn find_root<B: Bucket>(bucket: &B, epoch: u64) -> Result<Found, StoreError> {
    let last = last(bucket)?;
    let mut gone = Vec::new();
    for epoch in (1..epoch).rev() {
        let claims = claimed(bucket, epoch)?;
        let is_claimed = claims.is_some();
        let mut openers = claims.unwrap_or_default();
        match last {
            Last::Is(last) if last.epoch == epoch && !openers.contains(&last) => openers.push(last),
            _ if is_claimed => {}
            _ => return Err(damaged(&claim(epoch), "is missing")),
        }
        gone.extend_from_slice(&openers);
        for opener in openers {
            if let Some((root, changes)) = newest_root(bucket, opener)? {
                return Ok(Found { root, changes, opener: Some(opener), gone });
            }
        }
    }
    match last {
        Last::Nobody => Ok(Found { gone, ..Found::default() }),
        Last::Is(opener) => Err(damaged(&opener.root(0), "is damaged or missing, and so is its other slot")),
        Last::Unknown => Err(damaged(LAST, "is damaged, and there is no root")),
    }
}

/// Returns the newer of an opener's whole roots.
fn newest_root<B: Bucket>(bucket: &B, opener: Opener) -> Result<Option<(Root, Vec<Change>)>, StoreError> {
    let mut newest: Option<(Root, Vec<Change>)> = None;
    for slot in 0..2 {
        let name = opener.root(slot);
        let value = bucket.get(&name).map_err(|error| error.at(&name))?;
        let Some((root, changes)) = value.and_then(|value| Root::read(opener, &value)) else { continue };
        let in_its_slot = root.generation % 2 == slot;
        if in_its_slot && newest.as_ref().is_none_or(|(newest, _)| newest.generation < root.generation) {
            newest = Some((root, changes));
        }
    }
    Ok(newest)
}

impl<B: Bucket> Session<B> {
    /// Removes the roots of past openers, the pages they wrote for commits that never happened, and
    /// old claims. Returns false if something is left.
    fn clean_up(&self, gone: &[Opener]) -> bool {
        self.remove_roots(gone)
            && self.root.leftovers.iter().all(|first| self.remove_run(*first))
            && self.remove_old_claim()
    }

    fn remove_roots(&self, openers: &[Opener]) -> bool {
        openers.iter().all(|opener| (0..2).all(|slot| self.remove(&opener.root(slot))))
    }

    fn remove(&self, name: &str) -> bool {
        self.pages.bucket.delete(name).is_ok()
    }

    /// Removes pages from a number on. They were written one after the other, so the first missing
    /// one is the end. They are removed backwards, so this still holds if removing ends early.
    fn remove_run(&self, first: PageId) -> bool {
        let mut run = Extent { first, count: 0 };
        loop {
            let next = PageId { number: first.number.saturating_add(run.count.into()), ..first };
            match self.pages.bucket.get(&next.name()) {
                Ok(Some(_)) if run.count < u32::MAX => run.count += 1,
                Ok(_) => break,
                Err(_) => return false,
            }
        }
        run.pages().rev().all(|page| self.remove(&page.name()))
    }

    /// Removes the oldest claim beyond those kept, and roots that its openers may have set after
    /// they were replaced.
    fn remove_old_claim(&self) -> bool {
        let Some(epoch) = self.head.opener.epoch.checked_sub(CLAIMS_KEPT).filter(|epoch| *epoch > 0) else {
            return true;
        };
        match claimed(&self.pages.bucket, epoch) {
            Ok(None) => true,
            Ok(Some(openers)) => self.remove_roots(&openers) && self.remove(&claim(epoch)),
            Err(_) => false,
        }
    }
}
