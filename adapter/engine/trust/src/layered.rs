//! Volumes that lie on an image: what operations have made is packed, and others go on above it.

use crate::ops::{Base, Op, Setup};
use crate::run::Runner;
use crate::store::TestStore;
use kvfs::image::{Image, pack};
use kvfs::{Error, Follow, SetTime};
use std::rc::Rc;

/// Packs what `ops` make in a volume of this setup. The image's bytes are leaked: they are for as long as
/// the program runs, as they are in a component.
pub fn base_of(setup: &Setup, ops: &[Op]) -> Result<Base, String> {
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

/// Makes an image of the first third of the operations; what is returned is to go on above it.
pub fn split<'o>(setup: &Setup, ops: &'o [Op]) -> Result<(Setup, &'o [Op]), String> {
    let (below, above) = ops.split_at(ops.len() / 3);
    let base = base_of(setup, below).map_err(|what| format!("below: {what}"))?;
    Ok((Setup { base: Some(Rc::new(base)), ..setup.clone() }, above))
}
