//! Volumes that lie on an image: what operations have made is packed, and others go on above it.

use crate::model::Model;
use crate::ops::{Op, Setup};
use crate::run::Runner;
use crate::store::TestStore;
use kvfs::image::{Image, pack};
use kvfs::{Clock, Error, Follow, KvStore, Options, Repair, RepairOptions, Report, SetTime, Volume};
use std::rc::Rc;

/// An image, and what the reference says that it holds.
pub struct Base {
    pub image: Image,
    pub bytes: &'static [u8],
    pub model: Model,
    /// When its last operation was made.
    pub seconds: i64,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base({}, {} objects)", self.image.id(), self.model.objects.len())
    }
}

impl Base {
    /// Packs what `ops` make in a volume of this setup. The image's bytes are leaked: they are for as long as
    /// the program runs, as they are in a component.
    pub fn of(setup: &Setup, ops: &[Op]) -> Result<Base, String> {
        let setup = Setup { quota: None, base: None, ..setup.clone() };
        let mut runner = Runner::new(&setup, TestStore::new(setup.limits), false)?;
        let mut index = 0;
        let mut step = |runner: &mut Runner, op: &Op| {
            index += 1;
            runner.step(index - 1, op)
        };
        for op in ops {
            step(&mut runner, op)?;
        }
        step(&mut runner, &Op::Reopen)?;
        // What waits to be removed goes little by little, with changes.
        let touch = Op::SetTimesAt {
            dir: 0,
            path: ".".to_owned(),
            follow: Follow::No,
            atime: SetTime::Now,
            mtime: SetTime::Keep,
        };
        for _ in 0..2000 {
            match pack(&mut runner.store.clone(), "v", "the lower one") {
                Ok(bytes) => {
                    let bytes: &'static [u8] = bytes.leak();
                    let mut image = Image::open(bytes).map_err(|error| format!("an image: {error:?}"))?;
                    image.verify().map_err(|error| format!("an image: {error:?}"))?;
                    runner.model.close_all();
                    runner.model.lie_below();
                    return Ok(Base { image, bytes, model: runner.model.clone(), seconds: index as i64 });
                }
                Err(Error::Format(_)) => {}
                Err(error) => return Err(format!("packing: {error:?}")),
            }
            step(&mut runner, &touch)?;
            step(&mut runner, &Op::Sync)?;
        }
        Err("it never comes to rest, so that it could be packed".to_owned())
    }
}

/// Makes an image of the first third of the operations; what is returned is to go on above it.
pub fn split<'o>(setup: &Setup, ops: &'o [Op]) -> Result<(Setup, &'o [Op]), String> {
    let (below, above) = ops.split_at(ops.len() / 3);
    let base = Base::of(setup, below).map_err(|what| format!("below: {what}"))?;
    Ok((Setup { base: Some(Rc::new(base)), ..setup.clone() }, above))
}

impl Setup {
    /// Opens the volume, above its image if there is one.
    pub fn open(
        &self,
        store: Box<dyn KvStore>,
        clock: Box<dyn Clock>,
        options: Options,
    ) -> Result<Volume, Error> {
        match &self.base {
            Some(base) => Volume::open_overlay(store, clock, base.image.clone(), options),
            None => Volume::open(store, clock, options),
        }
    }

    /// Checks the volume, with its image if there is one.
    pub fn fsck(&self, store: &mut dyn KvStore) -> Result<Report, Error> {
        match &self.base {
            Some(base) => kvfs::fsck_overlay(store, "v", base.image.clone()),
            None => kvfs::fsck(store, "v"),
        }
    }

    /// Repairs the volume, above its image if there is one.
    pub fn repair(
        &self,
        store: &mut dyn KvStore,
        clock: &mut dyn Clock,
        options: RepairOptions,
    ) -> Result<Repair, Error> {
        match &self.base {
            Some(base) => kvfs::repair_overlay(store, clock, "v", base.image.clone(), options),
            None => kvfs::repair(store, clock, "v", options),
        }
    }
}
