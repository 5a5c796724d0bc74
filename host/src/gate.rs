//! Lets the applies of others wait for a change that is being planned.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The gate before the applies of a store: see [`SyncStore::exclusively`](crate::SyncStore::exclusively).
///
/// Nothing rests on it but who comes first. An apply that passed it just before is still under way, so
/// a change that was planned behind it needs its guards all the same. A store must not hold a lock of its
/// own when it comes to the gate: who is behind it may want that lock.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The thread that is behind the gate; 0: none.
    holder: AtomicUsize,
    turn: Mutex<()>,
}

impl Gate {
    /// Waits while another thread is behind the gate.
    #[inline]
    pub(crate) fn pass(&self) {
        if self.holder.load(Ordering::Relaxed) != 0 {
            self.wait();
        }
    }

    #[cold]
    fn wait(&self) {
        if !self.is_mine() {
            drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Calls `work` behind the gate.
    pub(crate) fn behind(&self, work: &mut dyn FnMut()) {
        if self.is_mine() {
            return work();
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.holder.store(this_thread(), Ordering::Relaxed);
        // Dropped before the turn is, and after a panic too.
        let _open = Open(&self.holder);
        work();
    }

    fn is_mine(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == this_thread()
    }
}

/// Opens the gate when it is dropped.
struct Open<'a>(&'a AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// A number that no other living thread has, and that is not 0.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| ptr::from_ref(here).addr())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn others_wait_and_the_thread_behind_passes() {
        let gate = Gate::default();
        let passed = AtomicBool::new(false);
        let (began, begun) = mpsc::channel();
        thread::scope(|scope| {
            gate.behind(&mut || {
                let (began, passed, gate) = (began.clone(), &passed, &gate);
                scope.spawn(move || {
                    began.send(()).unwrap();
                    gate.pass();
                    passed.store(true, Ordering::SeqCst);
                });
                begun.recv().unwrap();
                thread::sleep(Duration::from_millis(50));
                gate.pass();
                gate.behind(&mut || gate.pass());
                assert!(!passed.load(Ordering::SeqCst));
            });
        });
        assert!(passed.load(Ordering::SeqCst));
    }

    #[test]
    fn a_panic_behind_it_opens_it() {
        let gate = Gate::default();
        let panicked = thread::scope(|scope| scope.spawn(|| gate.behind(&mut || panic!("as a test"))).join());
        assert!(panicked.is_err());
        gate.pass();
        let mut calls = 0;
        gate.behind(&mut || calls += 1);
        assert_eq!(calls, 1);
    }
}
