//! A store below that lets others work while it is being called.

use crate::disk::{Disk, Seeded, key};
use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_sealed_store::{AsyncKvStore, OpenError, Seal, SealedStore, now};
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// A call before which others work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Get,
    Scan,
    Apply,
}

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Plan {
    /// The call of a kind, counted from 1, before which work is done.
    work: Option<(At, usize, Work)>,
    gets: usize,
    scans: usize,
    applies: usize,
    /// Makes applies wait.
    holds_applies: bool,
    /// Makes a get answer with a value less than it was asked for.
    answers_short: bool,
}

/// A disk with a plan. A clone has the same.
#[derive(Clone)]
pub(crate) struct Meddling {
    disk: Disk,
    plan: Arc<Mutex<Plan>>,
}

impl Meddling {
    pub(crate) fn new(disk: &Disk) -> Self {
        Self { disk: disk.clone(), plan: Arc::default() }
    }

    /// Does `work` before the call of a kind with a number, counted from 1 from now on.
    pub(crate) fn before(&self, at: At, number: usize, work: impl FnOnce() + Send + 'static) {
        let holds_applies = self.plan.lock().unwrap().holds_applies;
        let work: Work = Box::new(work);
        *self.plan.lock().unwrap() =
            Plan { work: Some((at, number, work)), holds_applies, ..Plan::default() };
    }

    /// Makes applies wait, or lets them go on.
    pub(crate) fn hold_applies(&self, hold: bool) {
        self.plan.lock().unwrap().holds_applies = hold;
    }

    /// Makes gets answer with a value less.
    pub(crate) fn answer_short(&self) {
        self.plan.lock().unwrap().answers_short = true;
    }

    /// Returns whether the work was done.
    pub(crate) fn worked(&self) -> bool {
        self.plan.lock().unwrap().work.is_none()
    }

    fn call(&self, at: At) -> Disk {
        let work = {
            let mut plan = self.plan.lock().unwrap();
            let count = match at {
                At::Get => &mut plan.gets,
                At::Scan => &mut plan.scans,
                At::Apply => &mut plan.applies,
            };
            *count += 1;
            let count = *count;
            plan.work.take_if(|(kind, number, _)| (*kind, *number) == (at, count))
        };
        if let Some((_, _, work)) = work {
            work();
        }
        self.disk.clone()
    }

    pub(crate) fn open(&self) -> Result<SealedStore<Self>, OpenError> {
        let seal = Seal { key: &key(1), cost: crate::disk::CHEAP, create: true };
        now(SealedStore::open(self.clone(), seal, Seeded::new()))
    }
}

impl AsyncKvStore for Meddling {
    type Bytes = Vec<u8>;

    async fn limits(&self) -> Result<Limits, StoreError> {
        self.disk.clone().limits()
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut values = self.call(At::Get).get(keys)?;
        if self.plan.lock().unwrap().answers_short {
            values.pop();
        }
        Ok(values)
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.call(At::Scan).scan(start, end, max_entries, max_bytes)
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let mut disk = self.call(At::Apply);
        std::future::poll_fn(|_| match self.plan.lock().unwrap().holds_applies {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
        disk.apply(guards, mutations, level)
    }
}
