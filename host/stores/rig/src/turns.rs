//! Threads that take turns on one medium.

use crate::Random;
use std::sync::{Arc, Condvar, Mutex};

/// A handle on a medium. With turns, each thread has its own.
pub struct Handle<M> {
    shared: Arc<Shared<M>>,
    thread: usize,
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), thread: self.thread }
    }
}

struct Shared<M> {
    medium: Mutex<M>,
    turns: Mutex<Option<Turns>>,
    changed: Condvar,
}

/// Lets one thread at a time make one call, in an order that a seed decides.
struct Turns {
    random: Random,
    running: Vec<usize>,
    current: usize,
    /// The number of calls, on average, after which it is another thread's turn.
    calls_per_turn: u64,
}

impl Turns {
    fn pass_on(&mut self) {
        let goes_on = self.running.contains(&self.current) && !self.random.chance(self.calls_per_turn);
        if !self.running.is_empty() && !goes_on {
            self.current = self.running[self.random.below(self.running.len() as u64) as usize];
        }
    }
}

impl<M> Handle<M> {
    /// Makes a handle for a test without threads.
    pub fn new(medium: M) -> Self {
        let shared = Shared { medium: Mutex::new(medium), turns: Mutex::new(None), changed: Condvar::new() };
        Self { shared: Arc::new(shared), thread: 0 }
    }

    /// Makes one handle per thread. The threads take turns of `calls_per_turn` calls on average.
    pub fn taking_turns(medium: M, threads: usize, seed: u64, calls_per_turn: u64) -> Vec<Self> {
        let first = Self::new(medium);
        let running = (0..threads).collect();
        let turns = Turns { random: Random::new(seed), running, current: 0, calls_per_turn };
        *first.shared.turns.lock().unwrap() = Some(turns);
        (0..threads).map(|thread| Self { thread, ..first.clone() }).collect()
    }

    /// Reads or changes the medium without waiting for a turn.
    pub fn look<T>(&self, look: impl FnOnce(&mut M) -> T) -> T {
        look(&mut self.shared.medium.lock().unwrap())
    }

    /// Makes a call of the medium when it is this thread's turn.
    pub fn call<T>(&self, call: impl FnOnce(&mut M) -> T) -> T {
        let mut turns = self.shared.turns.lock().unwrap();
        while turns.as_ref().is_some_and(|turns| turns.current != self.thread) {
            turns = self.shared.changed.wait(turns).unwrap();
        }
        let result = call(&mut self.shared.medium.lock().unwrap());
        if let Some(turns) = &mut *turns {
            turns.pass_on();
            self.shared.changed.notify_all();
        }
        result
    }

    /// Ends the turns of this handle's thread.
    pub fn done(&self) {
        let mut turns = self.shared.turns.lock().unwrap();
        if let Some(turns) = &mut *turns {
            turns.running.retain(|&thread| thread != self.thread);
            turns.pass_on();
        }
        self.shared.changed.notify_all();
    }

    /// Runs one thread per handle to its end, and returns their results in order.
    ///
    /// # Panics
    /// If a thread panics. The message is `what`.
    pub fn run_all<T: Send>(handles: &[Self], what: &str, run: impl Fn(&Self, usize) -> T + Sync) -> Vec<T>
    where
        M: Send,
    {
        let run = &run;
        std::thread::scope(|scope| {
            let running: Vec<_> = handles
                .iter()
                .enumerate()
                .map(|(thread, handle)| {
                    scope.spawn(move || {
                        let run = std::panic::AssertUnwindSafe(|| run(handle, thread));
                        let result = std::panic::catch_unwind(run);
                        // Otherwise the other threads would wait for ever for this turn to end.
                        handle.done();
                        result.unwrap_or_else(|_| panic!("{what}"))
                    })
                })
                .collect();
            running.into_iter().map(|thread| thread.join().expect("a thread")).collect()
        })
    }
}
