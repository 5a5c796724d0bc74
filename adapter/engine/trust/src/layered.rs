//! Volumes on an image: the first operations make the image, and the others run above it.

use crate::ops::{Base, Op, Setup};
use crate::run::Runner;
use crate::store::TestStore;
use kvfs::image::{Image, pack};
use kvfs::{Error, Follow, SetTime};
use std::rc::Rc;

/// Packs what `ops` make in a volume of this setup. Leaks the image's bytes: as in a component,
/// they live as long as the program.
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
    // Changes take garbage along little by little, and an image must have none.
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
    Err("it never came to rest, as packing requires".to_owned())
}

/// Makes an image of the first third of the operations. The rest is to run above it, with the setup
/// returned.
pub fn split<'o>(setup: &Setup, ops: &'o [Op]) -> Result<(Setup, &'o [Op]), String> {
    let (below, above) = ops.split_at(ops.len() / 3);
    let base = base_of(setup, below).map_err(|what| format!("below: {what}"))?;
    Ok((Setup { base: Some(Rc::new(base)), ..setup.clone() }, above))
}
